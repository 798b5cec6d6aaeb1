/**
 * How far this client has come in each topic, over all its connections. A pure value: what it presents to resume, and what
 * it holds against what comes.
 */
import type { Gap } from '../types/client.js';
import type { EventFrame, Position } from '../types/frames.js';

export class Positions {
  #all: Record<string, Position> = {};

  /** @param text as `toString` made it; anything else counts as nothing */
  constructor(text?: string | null) {
    try {
      for (const [topic, position] of Object.entries<Position>(JSON.parse(text ?? '{}'))) {
        if (typeof position?.epoch === 'string' && position.offset >= 0) this.#all[topic] = position;
      }
    } catch {
      // Nobody wrote that but another version of this client, or a person: begin anew.
    }
  }

  toString(): string {
    return JSON.stringify(this.#all);
  }

  of(topics: Iterable<string>): Record<string, Position> {
    const found: Record<string, Position> = {};
    for (const topic of topics) if (this.#all[topic]) found[topic] = this.#all[topic]!;
    return found;
  }

  /** Whether the event at this place was processed before. Notes a new epoch. */
  isPast({ topic, offset, epoch, ahead }: EventFrame): boolean {
    const known = this.#all[topic];
    if (epoch !== undefined && epoch !== known?.epoch) {
      // A log that began anew says nothing about what was processed of the old one.
      if (known && !ahead) delete this.#all[topic];
      return false;
    }
    return known !== undefined && offset! <= known.offset;
  }

  /** The event was processed. Answers what may be acknowledged; nothing for one that came ahead. */
  processed({ topic, offset, epoch = this.#all[topic]?.epoch, ahead }: EventFrame): Position | undefined {
    return ahead || epoch === undefined ? undefined : this.#move(topic, epoch, offset!);
  }

  /** These offsets will not come. Answers what may be acknowledged. */
  skip({ topic, to, epoch }: Gap & { epoch?: string }): Position | undefined {
    const known = this.#all[topic]?.epoch;
    if (epoch === undefined || epoch === known) return known && to !== undefined ? this.#move(topic, known, to) : undefined;
    this.#move(topic, epoch, to ?? 0);
    return undefined;
  }

  /** The replay has reached the present. */
  live({ topic, epoch, offset }: Position & { topic: string }): void {
    this.#move(topic, epoch, offset);
  }

  forget(topic: string): void {
    delete this.#all[topic];
  }

  /** Forward, or into another epoch. */
  #move(topic: string, epoch: string, offset: number): Position | undefined {
    const known = this.#all[topic];
    if (known?.epoch === epoch && offset <= known.offset) return undefined;
    return (this.#all[topic] = { epoch, offset });
  }
}
