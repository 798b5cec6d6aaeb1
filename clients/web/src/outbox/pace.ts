import { paceMax, paceWindow } from './policy.js';

/** Keeps what is told below what the server takes. Pure. */
export class Pace {
  #began = -Infinity;
  #taken = 0;

  /**
   * Takes a place and answers 0, or answers in how many milliseconds there is one.
   *
   * @param now milliseconds of a clock that is never set
   */
  take(now: number): number {
    if (now - this.#began >= paceWindow) {
      this.#began = now;
      this.#taken = 0;
    }
    if (this.#taken >= paceMax) return this.#began + paceWindow - now;
    this.#taken++;
    return 0;
  }
}
