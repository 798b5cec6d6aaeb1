import { type ErrorCode, RealtimeError } from '../errors.js';
import { ConnectionState, type DisconnectReason } from '../types/client.js';
import type { Machine } from './machine.js';

/** What waiting for a connection ends with. */
const codes: Partial<Record<DisconnectReason, ErrorCode>> = {
  client: 'CANCELLED', max_attempts: 'UNAVAILABLE', unauthenticated: 'UNAUTHENTICATED',
  limit: 'RESOURCE_EXHAUSTED',
};

/** A machine's phase as applications see it. */
export function stateOf({ phase, wasTried }: Pick<Machine, 'phase' | 'wasTried'>): ConnectionState {
  if (phase === 'connected') return ConnectionState.CONNECTED;
  if (phase === 'idle' || phase === 'stopped') return ConnectionState.DISCONNECTED;
  return wasTried ? ConnectionState.RECONNECTING : ConnectionState.CONNECTING;
}

/** Those who wait for a connection. */
export class Waiting {
  #all: [() => void, (error: RealtimeError) => void][] = [];

  add(): Promise<void> {
    const promise = new Promise<void>((...settle) => this.#all.push(settle));
    // Who does not wait is not to be troubled by what becomes of it.
    promise.catch(() => {});
    return promise;
  }

  /** Answers all of them, if the state is one to wait for. */
  settle(state: ConnectionState, { reason, why }: Pick<Machine, 'reason' | 'why'>): void {
    const isThere = state === ConnectionState.CONNECTED;
    if (!isThere && state !== ConnectionState.DISCONNECTED) return;
    for (const [resolve, reject] of this.#all.splice(0)) {
      if (isThere) resolve();
      else reject(new RealtimeError(codes[reason!] ?? 'FAILED_PRECONDITION', `disconnected: ${why ?? reason}`));
    }
  }
}
