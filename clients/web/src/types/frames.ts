/** The frames of `avalo.v1`, as far as this client reads them. See the protocol's document. */
import type { Denied, Gap, Unsubscribed } from './client.js';
import type { RealtimeEvent, ReadReceiptPayload } from './events.js';

export interface Position {
  epoch: string;
  offset: number;
}

export interface WireError {
  status: string;
  message?: string;
  details?: { retryAfterMs?: number; eventId?: string; code?: number };
}

export type Receipt = ReadReceiptPayload & { version: number };

/** Members of `ready`, and of the answer of `subscribeToRealtimeEventsV1`. */
export interface ReadyFrame {
  connectionId: string;
  /** Whose token it was; a call does not say. */
  userId?: string;
  subscriptions: string[];
  denied: Denied[];
  unread?: Record<string, number | undefined>;
  receipts?: Receipt[];
  /** Milliseconds. */
  pingInterval?: number;
  expiresAt?: number;
}

export interface SubscribeAnswer extends ReadyFrame {
  enabled?: boolean;
  wsUrl?: string;
  eventsUrl?: string;
  cursor?: string;
}

export interface EventFrame {
  /** To the inbox it lies in, unless it says whose. */
  event: Omit<RealtimeEvent, 'topic' | 'offset' | 'targetUserId'> & { targetUserId?: string };
  topic: string;
  offset?: number;
  epoch?: string;
  version?: number;
  ahead?: boolean;
  snapshot?: boolean;
  skipped?: Omit<Gap, 'topic'>;
}

/** One frame. The member that is there says what it is. */
export interface ServerFrame extends Partial<EventFrame> {
  ready?: ReadyFrame;
  gap?: Gap & { epoch?: string };
  live?: Position & { topic: string };
  unsubscribed?: Unsubscribed;
  id?: number | string;
  result?: any;
  error?: WireError;
  pong?: {};
  expiring?: { expiresAt: number };
  goaway?: { retryAfterMs?: number };
}

/** What a connection begins with; the `connect` frame without its token. */
export interface ConnectRequest {
  /** Whose place a stream takes. */
  connectionId?: string;
  deviceId: string;
  platform: string;
  subscriptions: string[];
  /** Those of the moment in which it is read. */
  readonly positions: Record<string, Position>;
}
