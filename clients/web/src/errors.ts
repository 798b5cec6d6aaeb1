import type { WireError } from './types/frames.js';

/** The canonical codes, as the server and the Firebase SDKs spell them; beside them CANCELLED for `disconnect()`. */
export type ErrorCode =
  | 'CANCELLED' | 'UNKNOWN' | 'INVALID_ARGUMENT' | 'DEADLINE_EXCEEDED' | 'NOT_FOUND' | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED' | 'RESOURCE_EXHAUSTED' | 'FAILED_PRECONDITION' | 'ABORTED' | 'OUT_OF_RANGE' | 'UNIMPLEMENTED'
  | 'INTERNAL' | 'UNAVAILABLE' | 'DATA_LOSS' | 'UNAUTHENTICATED';

/** What a call or a connection failed with. */
export class RealtimeError extends Error {
  override readonly name = 'RealtimeError';
  /** When trying again makes sense, in milliseconds. */
  declare readonly retryAfterMs: number | undefined;
  /** An event whose fate is unknown: publish it again with this id, and it is kept once. */
  declare readonly eventId: string | undefined;
  /** What a held call's connection ended with: a close code of the protocol's table. */
  declare readonly closeCode: number | undefined;

  constructor(readonly code: ErrorCode, message: string, details: WireError['details'] = {}) {
    super(message);
    this.retryAfterMs = details.retryAfterMs;
    this.eventId = details.eventId;
    this.closeCode = details.code;
  }

  /** Whether the same call may succeed later, nothing else having changed. */
  get isTransient(): boolean {
    return /^(UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|ABORTED|INTERNAL|UNKNOWN)$/.test(this.code);
  }

  /** By its name: each bundle has a class of its own. */
  static [Symbol.hasInstance](thrown: unknown): boolean {
    return (thrown as Error)?.name === 'RealtimeError';
  }

  static of(error: WireError): RealtimeError {
    return new RealtimeError(error.status as ErrorCode, error.message ?? error.status, error.details);
  }

  /** Anything thrown, as an error of ours; what the Firebase SDK throws keeps its code. */
  static from(thrown: unknown, code: ErrorCode = 'UNAVAILABLE'): RealtimeError {
    if (thrown instanceof RealtimeError) return thrown;
    const { code: other, message, details } = (thrown ?? {}) as { code?: string; message?: string; details?: {} };
    const known = String(other).split('functions/')[1]?.toUpperCase().replace(/-/g, '_');
    return new RealtimeError((known ?? code) as ErrorCode, message ?? String(thrown), details);
  }
}
