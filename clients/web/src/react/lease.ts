/**
 * Something that is needed by what is mounted. React's strict mode takes everything away and puts it back at once, and so
 * does moving about in an application: it is given up only when nobody has taken it again a moment later.
 */
export class Lease {
  #holders = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly giveUp: () => void, private readonly ms = 0) {}

  /** Answers a function that gives it back; calling it again changes nothing. */
  take(): () => void {
    this.#holders++;
    clearTimeout(this.#timer);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      if (--this.#holders === 0) this.#timer = setTimeout(() => this.#holders === 0 && this.giveUp(), this.ms);
    };
  }
}
