/**
 * Whether the other side is there. Anything that comes in is a sign of life; silence is asked about with a ping, and
 * silence after a ping ends the connection, whatever the socket says of itself. Pure: times come in, wishes go out.
 */
import { lateGrace, pingIntervalMin, pongGrace, probeGrace } from '../limits.js';

/** To ask, to end it, or to do nothing for so many milliseconds. */
export type Wish = 'ping' | 'dead' | number;

export class Liveness {
  /** Round trip in milliseconds; `null` before the first. */
  roundTrip: number | null = null;
  /** When the ping that is unanswered went out. */
  #asked: number | null = null;
  /** By when something must have come in. */
  #deadline = Infinity;
  #nextPing: number;
  #excused = false;
  readonly #interval: number;

  /**
   * @param interval milliseconds
   * @param pings whether the transport can ask; one that cannot is only listened to
   */
  constructor(interval: number, private readonly pings: boolean, now: number) {
    this.#interval = Math.max(interval, pingIntervalMin);
    // The first one at once, to know the latency.
    this.#nextPing = pings ? now : Infinity;
    this.heard(now);
  }

  /** Something came in. */
  heard(now: number): void {
    this.#excused = false;
    this.#deadline = this.pings ? Infinity : now + this.#interval + pongGrace;
  }

  pong(now: number): void {
    if (this.#asked !== null) this.roundTrip = now - this.#asked;
    this.#asked = null;
  }

  /** There is a doubt: ask now, and wait less long. */
  probe(now: number): void {
    if (this.pings) this.#nextPing = now;
    this.#deadline = Math.min(this.#deadline, now + probeGrace);
  }

  /** What to do now. Call again when it is done, after the sleep, and after `probe`. */
  next(now: number): Wish {
    if (now >= this.#deadline) {
      // Who comes late has slept or was busy: what came in meanwhile may still wait to be read.
      if (now < this.#deadline + lateGrace || this.#excused) return 'dead';
      this.#excused = true;
      this.#deadline = now + lateGrace;
      return lateGrace;
    }
    if (now >= this.#nextPing) {
      this.#nextPing = now + this.#interval;
      this.#asked = now;
      this.#deadline = Math.min(this.#deadline, now + pongGrace);
      return 'ping';
    }
    return Math.min(this.#nextPing, this.#deadline) - now;
  }
}
