/** What the client tells of itself, and the map of everything that can be listened to. */
import type { RealtimeError } from '../errors.js';
import type { SubscribeResult } from './calls.js';
import type { RealtimeEvent, RealtimePayloads } from './events.js';

export const ConnectionState = {
  DISCONNECTED: 'disconnected',
  CONNECTING: 'connecting',
  CONNECTED: 'connected',
  RECONNECTING: 'reconnecting',
} as const;
export type ConnectionState = typeof ConnectionState[keyof typeof ConnectionState];

/**
 * Why a client is DISCONNECTED. `max_attempts` is left by the network coming back, by the page becoming visible and by
 * `connect()`; `unauthenticated` by a new token, as the last one was refused, or is somebody else's; the others by `connect()`
 * alone: no token that is set meanwhile brings back a client that was sent away.
 */
export type DisconnectReason =
  | 'client' | 'max_attempts' | 'unauthenticated' | 'permission_denied' | 'bad_frame' | 'limit' | 'feature_disabled'
  | 'disconnected' | 'superseded';

export type TransportName = 'websocket' | 'sse' | 'poll';

export interface ConnectionInfo {
  /** The server's name for the connection; `null` while there is none. */
  connectionId: string | null;
  userId: string | null;
  deviceId: string;
  state: ConnectionState;
  /** Set while DISCONNECTED. */
  reason: DisconnectReason | null;
  /** Round trip in milliseconds; `null` before the first. */
  latency: number | null;
  /** Failed attempts since the connection was last stable. */
  reconnectAttempts: number;
  transport: TransportName;
}

/** What the server says of a new connection. */
export interface ReadyInfo {
  connectionId: string;
  subscriptions: string[];
  denied: Denied[];
  /** Unread messages by chat; absent when the server cannot say at the moment. */
  unread?: Record<string, number | undefined>;
}

export interface Denied {
  topic: string;
  code: string;
}

/** Offsets of a topic that will not come. */
export interface Gap {
  topic: string;
  from?: number;
  to?: number;
  reason: 'expired' | 'evicted' | 'membership' | 'epoch' | (string & {});
}

/** A topic was resumed where it had been left, and nothing was missed. */
export interface Recovered {
  topic: string;
  /** How many events came while it was caught up. */
  events: number;
}

export interface Unsubscribed {
  topic: string;
  code: string;
  message?: string;
}

type Events = { [T in keyof RealtimePayloads]: RealtimeEvent<RealtimePayloads[T], T> };

/** Everything that `client.on` takes, with what the listener gets. */
export interface RealtimeEventMap extends Events {
  /** Every event, whatever its type. */
  event: RealtimeEvent;
  /** A connection is there, its subscriptions are in place. */
  ready: ReadyInfo;
  /** Topics were added to the connection, over a WebSocket; elsewhere it is made again with them, and `ready` tells. */
  subscribed: SubscribeResult;
  gap: Gap;
  recovered: Recovered;
  /** Topics that were asked for and are not allowed. */
  denied: Denied;
  unsubscribed: Unsubscribed;
  /** Something went wrong that no call answers for: a listener threw, a token could not be had. */
  error: RealtimeError | Error;
}

export type Listener<T> = (event: T) => void;
