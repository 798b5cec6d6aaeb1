import type { Environment } from '../environment.js';
import { RealtimeError } from '../errors.js';
import type { ServerFrame } from '../types/frames.js';
import { callsMax } from '../limits.js';
import { encoded, unanswered } from './http.js';

interface Pending {
  resolve(result: any): void;
  reject(error: RealtimeError): void;
  timer: unknown;
}

/** Calls over a socket that wait for their answers. */
export class PendingCalls {
  #waiting = new Map<ServerFrame['id'], Pending>();
  #lastID = 0;

  constructor(private readonly environment: Environment) {}

  get hasRoom(): boolean {
    return this.#waiting.size < callsMax;
  }

  /**
   * Sends a call and answers its result.
   *
   * @param send puts text on the socket
   * @throws RealtimeError INVALID_ARGUMENT when JSON has no words for the data, CANCELLED when the socket is lost before the answer
   */
  call(name: string, data: unknown, ms: number, send: (text: string) => void): Promise<any> {
    const id = ++this.#lastID;
    const text = encoded({ id, call: name, data });
    return new Promise((resolve, reject) => {
      const timer = this.environment.setTimeout(() => this.#take(id)?.reject(unanswered(name, ms)), ms);
      this.#waiting.set(id, { resolve, reject, timer });
      send(text);
    });
  }

  /** Takes a frame if it answers a call; answers whether it did. */
  take({ id, result, error }: ServerFrame): boolean {
    const call = this.#take(id);
    if (error) call?.reject(RealtimeError.of(error));
    else call?.resolve(result);
    return call !== undefined;
  }

  /** The socket is gone. */
  lost(): void {
    for (const id of [...this.#waiting.keys()]) {
      this.#take(id)?.reject(new RealtimeError('CANCELLED', 'no answer: lost'));
    }
  }

  #take(id: ServerFrame['id']): Pending | undefined {
    const call = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.environment.clearTimeout(call?.timer);
    return call;
  }
}
