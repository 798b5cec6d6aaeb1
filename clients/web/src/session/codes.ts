import type { DisconnectReason } from '../types/client.js';

/** How a transport ended. Codes are those of the protocol's table; 0 where there was none. */
export interface Ending {
  code: number;
  /** The canonical status, where the server told one. */
  status?: string | undefined;
  retryAfterMs?: number | undefined;
  /** What there is to say beyond that. */
  why?: string | undefined;
}

/**
 * What becomes of it: come back; come back when the server asked for it; the token was refused; or stay away, for the reason
 * named.
 */
export type Kind = 'retry' | 'goaway' | 'auth' | DisconnectReason;

/** From 4501 on. */
const reasons: DisconnectReason[] = [
  'permission_denied', 'bad_frame', 'limit', 'feature_disabled', 'disconnected', 'superseded',
];
/** How an HTTP transport is told the same. */
const statuses: Record<string, number> = { UNAUTHENTICATED: 4500, PERMISSION_DENIED: 4501, INVALID_ARGUMENT: 4502 };

/** 4000 to 4499: come back; 4500 to 4999: do not, something must change first. */
export function classify(ending: Ending): Kind {
  const code = ending.code || statuses[ending.status!]!;
  // An expired or revoked token is mended by another one.
  if (code === 4004 || code === 4500 || code === 4507) return 'auth';
  if (code >= 4500 && code < 5000) return reasons[code - 4501] ?? 'disconnected';
  return code === 4000 && ending.retryAfterMs !== undefined ? 'goaway' : 'retry';
}
