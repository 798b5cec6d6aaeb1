import { RealtimeError } from '../errors.js';
import type { Runner } from '../session/runner.js';
import type { Tokens } from '../session/tokens.js';
import { callOverHTTP, type Caller } from './http.js';
import { PendingCalls } from './pending.js';

export const connectFirst = () => new RealtimeError('FAILED_PRECONDITION', 'connect comes first');

/** Calls of the server's functions: over the socket where there is one, otherwise over HTTP. */
export class Calls {
  /** Those over the socket: to be told what comes in, and when it is gone. */
  readonly inFlight: PendingCalls;

  /** @param attemptMs milliseconds that one attempt may take */
  constructor(
    private readonly caller: Caller, private readonly tokens: Tokens, private readonly runner: Runner,
    private readonly attemptMs: number, private readonly user: () => string | null,
  ) {
    this.inFlight = new PendingCalls(caller.environment);
  }

  /** Over the socket alone: what is said of the connection itself. CANCELLED when it is lost. */
  overSocket(name: string, data: unknown, ms = this.attemptMs): Promise<any> {
    return this.inFlight.call(name, data, ms, text => this.runner.sendText(text));
  }

  /** As one user, who is the one of this moment unless it is said, and never as another. */
  async call(name: string, data: unknown, ms = this.attemptMs, user = this.user()): Promise<any> {
    const check = () => {
      if (user !== this.user()) throw new RealtimeError('CANCELLED', 'another user is connected');
    };
    check();
    if (this.runner.isDuplex && this.inFlight.hasRoom) {
      try {
        return await this.overSocket(name, data, ms);
      } catch (thrown) {
        // All functions may be called again: they say how it is, or name what they make.
        if ((thrown as RealtimeError).code !== 'CANCELLED') throw thrown;
      }
    }
    if (this.tokens.source === undefined && !this.caller.callable) throw connectFirst();
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
