import type { DisconnectReason } from '../types/client.js';

/** How a transport ended. Codes are those of the protocol's table; 0 where there was none. */
export interface Ending {
  code: number;
  /** The canonical status, where the server told one. */
  status?: string;
  retryAfterMs?: number;
}

export type Kind =
  | { kind: 'retry' }
  /** The server asked for a pause and named its length. */
  | { kind: 'goaway' }
  /** The token was refused. */
  | { kind: 'auth' }
  | { kind: 'stop'; reason: DisconnectReason };

const reasons: Record<number, DisconnectReason> = {
  4501: 'permission_denied', 4502: 'bad_frame', 4503: 'limit', 4504: 'feature_disabled', 4505: 'disconnected',
  4506: 'superseded',
};
/** How an HTTP transport is told the same. */
const statuses: Record<string, number> = { UNAUTHENTICATED: 4500, PERMISSION_DENIED: 4501, INVALID_ARGUMENT: 4502 };

/** 4000 to 4499: come back; 4500 to 4999: do not, something must change first. */
export function classify(ending: Ending): Kind {
  const code = ending.code || statuses[ending.status ?? ''] || 0;
  // An expired or revoked token is mended by another one.
  if (code === 4004 || code === 4500 || code === 4507) return { kind: 'auth' };
  if (code >= 4500 && code < 5000) return { kind: 'stop', reason: reasons[code] ?? 'disconnected' };
  return { kind: code === 4000 && ending.retryAfterMs !== undefined ? 'goaway' : 'retry' };
}
