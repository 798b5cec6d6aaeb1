import { RealtimeError } from '../errors.js';
import type { TokenSource } from '../types/options.js';

/** Where tokens come from, and the one that came last. */
export class Tokens {
  #source: TokenSource | undefined;
  /** Of those that were asked for before, nothing is kept. */
  #age = 0;
  /** `undefined` before the first, and where the Firebase SDK has it. */
  last: string | undefined;

  get source(): TokenSource | undefined {
    return this.#source;
  }

  set source(source: TokenSource | undefined) {
    if (source !== this.#source) this.forget();
    this.#source = source;
  }

  /** Somebody else is to be connected, whom the same source may speak for. */
  forget(): void {
    this.last = undefined;
    this.#age++;
  }

  /** Whether asking again may bring another one; a token that is a text stays what it is. */
  get isRefreshable(): boolean {
    return typeof this.#source !== 'string';
  }

  /** Answers a token; `null` when nobody is signed in, `undefined` where none is needed. */
  async get(forceRefresh: boolean): Promise<string | null | undefined> {
    const source = this.#source;
    const age = this.#age;
    if (source === undefined) return undefined;
    const token = typeof source === 'function' ? await source({ forceRefresh }) : source;
    // Another source, set meanwhile, has another user's.
    if (age === this.#age) this.last = token || undefined;
    return token || null;
  }

  /** For a call by the way: the last one will do until it is refused. */
  async any(forceRefresh: boolean): Promise<string | undefined> {
    const token = (!forceRefresh && this.last) || (await this.get(forceRefresh));
    if (token === null) throw new RealtimeError('UNAUTHENTICATED', 'nobody is signed in');
    return token;
  }
}
