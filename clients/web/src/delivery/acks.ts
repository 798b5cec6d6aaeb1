import type { Position } from '../types/frames.js';

export type Ack = Position & { topic: string };

/** Acknowledgements on their way: the newest of each topic, sent together after a moment. */
export class Acks {
  #pending = new Map<string, Ack>();
  #stop: (() => void) | undefined;

  /**
   * @param later runs a function after the moment, and answers how to stop that
   * @param send puts them on the wire
   */
  constructor(
    private readonly later: (run: () => void) => () => void, private readonly send: (acks: Ack[]) => void,
  ) {}

  add(topic: string, position: Position | undefined): void {
    if (!position) return;
    this.#pending.set(topic, { topic, ...position });
    this.#stop ??= this.later(() => this.flush());
  }

  /** Sends what there is, now. */
  flush(): void {
    this.#stop?.();
    this.#stop = undefined;
    if (this.#pending.size === 0) return;
    const acks = [...this.#pending.values()];
    this.#pending.clear();
    this.send(acks);
  }
}
