/** What is decided about entries. Pure. */
import type { RealtimeError } from '../errors.js';
import { retryAfterMax } from '../limits.js';

const minute = 60_000;
const hour = 60 * minute;

/** How long a thing is worth telling, in milliseconds: as long as the server would keep it. */
export const defaultTTL: Record<string, number> = {
  chat_message: 24 * hour, notification: 168 * hour, feed_update: hour, match_created: 24 * hour, like_received: 24 * hour,
  sendReadReceiptV1: 24 * hour, markChatAsReadV1: 24 * hour, updatePresenceV1: 5 * minute,
};
/** Of what has no entry above. */
export const otherTTL = 24 * hour;
/** A user's entries: a day of busy writing. */
export const entriesMax = 1_000;
/** Bytes of one entry, about: what the server takes of an event, and its frame. */
export const entryBytesMax = 128 * 1024;
/** The first delay after a failure; it doubles up to the longest. */
export const retryMin = 1_000;
export const retryMax = 30_000;
/**
 * Entries that are told in one window: two windows that meet, and the application's own calls beside them, stay below the 100
 * frames that the server takes of a connection in a second.
 */
export const paceMax = 40;
/** Milliseconds. */
export const paceWindow = 1_000;

export type Outcome =
  /** The server will not do it, and waiting changes nothing: the next one. */
  | 'drop'
  /** Later, on the same connection. */
  | 'retry'
  /** When there is another connection. */
  | 'wait';

export function outcome({ code, isTransient }: RealtimeError): Outcome {
  if (code === 'CANCELLED' || code === 'UNAUTHENTICATED') return 'wait';
  return isTransient ? 'retry' : 'drop';
}

/** Milliseconds for which the server wants to hear nothing. */
export const told = ({ retryAfterMs = 0 }: RealtimeError): number => Math.min(retryAfterMs, retryAfterMax);

/** Milliseconds until the next try. @param failures 1 after the first */
export function retryDelay(failures: number, error: RealtimeError, random: () => number): number {
  const least = told(error);
  // A limit knows when it has room again.
  if (error.code === 'RESOURCE_EXHAUSTED' && least > 0) return least;
  const bound = Math.min(retryMax, retryMin * 2 ** (failures - 1));
  return Math.max(least, Math.floor(bound / 2 + random() * bound / 2));
}
