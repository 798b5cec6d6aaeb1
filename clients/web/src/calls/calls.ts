import { RealtimeError } from '../errors.js';
import type { Runner } from '../session/runner.js';
import type { Tokens } from '../session/tokens.js';
import type { ServerFrame } from '../types/frames.js';
import { callOverHTTP, type Caller } from './http.js';
import { PendingCalls } from './pending.js';

export const connectFirst = () => new RealtimeError('FAILED_PRECONDITION', 'connect(userId, authToken) comes first');

/** Calls of the server's functions: over the socket where there is one, otherwise over HTTP. */
export class Calls {
  readonly #pending: PendingCalls;

  /** @param timeout milliseconds that one attempt may take */
  constructor(
    private readonly caller: Caller, private readonly tokens: Tokens, private readonly runner: Runner,
    readonly timeout: number, private readonly user: () => string | null,
  ) {
    this.#pending = new PendingCalls(caller.environment);
  }

  /** Takes a frame if it answers a call; answers whether it did. */
  take(frame: ServerFrame): boolean {
    return this.#pending.take(frame);
  }

  /** The socket is gone. */
  lost(): void {
    this.#pending.lost();
  }

  /** Over the socket alone: what is said of the connection itself. CANCELLED when it is lost. */
  overSocket(name: string, data: unknown, ms = this.timeout): Promise<any> {
    return this.#pending.call(name, data, ms, text => this.runner.sendText(text));
  }

  /** As one user, who is the one of this moment unless it is said, and never as another. */
  async call(name: string, data: unknown, ms = this.timeout, user = this.user()): Promise<any> {
    const check = () => {
      if (user !== this.user()) throw new RealtimeError('CANCELLED', 'another user is connected');
    };
    check();
    if (this.runner.isDuplex && this.#pending.hasRoom) {
      try {
        return await this.overSocket(name, data, ms);
      } catch (thrown) {
        // All functions may be called again: they say how it is, or name what they make.
        if ((thrown as RealtimeError).code !== 'CANCELLED') throw thrown;
      }
    }
    if (this.tokens.source === undefined && !this.caller.callable) throw connectFirst();
    if (!this.caller.environment.isOnline()) throw new RealtimeError('UNAVAILABLE', 'no network');
    const overHTTP = (isForced: boolean) => callOverHTTP(this.caller, name, data, async () => {
      check();
      const token = await this.tokens.any(isForced);
      check();
      return token;
    }, ms);
    try {
      return await overHTTP(false);
    } catch (thrown) {
      if ((thrown as RealtimeError).code !== 'UNAUTHENTICATED' || !this.tokens.isRefreshable) throw thrown;
      return await overHTTP(true);
    }
  }
}
