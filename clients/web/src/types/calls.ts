/** What the server's functions take and answer. */
import type { Denied } from './client.js';
import type { Location, Payload, Platform, PresenceStatus, Priority, RealtimeEventType } from './events.js';

export type Visibility = 'everyone' | 'chat_partners' | 'nobody';

/** What is not there stays as it is; `null` takes it away. */
export interface PresenceUpdate {
  status?: PresenceStatus | null;
  platform?: Platform;
  /** At most 256 bytes. */
  customStatus?: string | null;
  /** At most 128 bytes. */
  activity?: string | null;
  location?: Location | null;
  visibility?: { activity?: Visibility; location?: Visibility } | null;
}

export interface OwnPresence {
  success: true;
  userId: string;
  status: PresenceStatus;
  lastSeenAt: number;
  lastActiveAt: number;
  platform: Platform | null;
  customStatus: string | null;
  activity: string | null;
  location: Location | null;
  visibility: { activity: Visibility; location: Visibility };
}

export interface SubscribeResult {
  subscriptions: string[];
  denied: Denied[];
  /** Unread messages by chat; absent when the server cannot say at the moment. */
  unread?: Record<string, number | undefined>;
}

export interface ReadResult {
  success: true;
  /** How many messages this newly covers. */
  markedCount: number;
  /** As Firestore writes a time; `null` when nothing was ever read. */
  readAt: { _seconds: number; _nanoseconds: number } | null;
  /** Milliseconds since 1970, or 0. */
  readAtMs: number;
}

/** What is said of an event that is published, but for where. */
export interface EventContent {
  type: RealtimeEventType | Uppercase<RealtimeEventType>;
  payload: Payload;
  /** Made when absent. The same id again is kept once. */
  eventId?: string;
  sourceUserId?: string;
  /** Milliseconds since 1970. */
  timestamp?: number;
  priority?: Priority;
  /** Seconds. */
  ttl?: number;
  chatId?: string;
  messageId?: string;
  /** Milliseconds since 1970: hold the event until then. */
  deliverAt?: number;
}

/** An event as it is published: to a user's inbox, or to a topic. */
export type EventDraft = EventContent & ({ targetUserId: string; topic?: undefined } | { topic: string; targetUserId?: undefined });

/** An event as it is broadcast, to users who are named beside it. */
export type BroadcastDraft = EventContent & { targetUserId?: undefined; topic?: undefined };

export interface PublishResult {
  success: true;
  eventId: string;
  topic: string;
  /** Absent, as is the offset, for an event that is held. */
  epoch?: string;
  offset?: number;
  scheduled?: true;
  /** What the event survives; `none`, and neither epoch nor offset: it is of a type that is kept in no log. */
  durability: 'memory' | 'os' | 'disk' | 'none';
  /** It had been published before. */
  duplicate: boolean;
}

export interface BroadcastResult {
  success: true;
  eventId: string;
  recipients: number;
  /** Beyond 1 000 users, who are served in the background: what `call('getBroadcast', { broadcastId })` asks after. */
  broadcastId?: string;
  durability: 'memory' | 'os' | 'disk';
  duplicate: boolean;
}
