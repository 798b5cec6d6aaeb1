import type { Environment } from '../environment.js';
import { ackDelay } from '../limits.js';
import type { Position } from '../types/frames.js';

export type Ack = Position & { topic: string };

/** Acknowledgements of one user: the newest of each topic, sent together after a moment, or when there is a connection. */
export class Acks {
  #pending = new Map<string, Ack>();
  #timer: unknown;

  /** @param send puts them on the wire; false when there is none, and they are kept */
  constructor(
    private readonly environment: Pick<Environment, 'setTimeout' | 'clearTimeout'>,
    private readonly send: (acks: Ack[]) => boolean,
  ) {}

  add(topic: string, position: Position | undefined): void {
    if (!position) return;
    this.#pending.set(topic, { topic, ...position });
    this.#timer ??= this.environment.setTimeout(() => this.flush(), ackDelay);
  }

  /** Sends what there is, now. */
  flush(): void {
    this.environment.clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending.size && this.send([...this.#pending.values()])) this.#pending.clear();
  }
}
