/** What the server delivers: event types, their payloads, and the event itself. */

/** The types of events, by their wire names. */
export const RealtimeEventType = {
  CHAT_MESSAGE: 'chat_message',
  TYPING_INDICATOR: 'typing_indicator',
  READ_RECEIPT: 'read_receipt',
  PRESENCE_UPDATE: 'presence_update',
  NOTIFICATION: 'notification',
  FEED_UPDATE: 'feed_update',
  MATCH_CREATED: 'match_created',
  LIKE_RECEIVED: 'like_received',
} as const;
export type RealtimeEventType = typeof RealtimeEventType[keyof typeof RealtimeEventType];

export type Platform = 'web' | 'ios' | 'android';
export type PresenceStatus = 'online' | 'away' | 'busy' | 'offline';
export type Priority = 'low' | 'normal' | 'high' | 'urgent';

/** What applications put into their own events; the engine reads `chatId` and `messageId` and nothing else. */
export type Payload = Record<string, any>;

export interface ChatMessagePayload extends Payload {
  chatId: string;
  messageId: string;
}

export interface TypingPayload {
  chatId: string;
  userId: string;
  isTyping: boolean;
  /** Milliseconds after which the typing has ended, if nothing more is heard of it. */
  expiresInMs: number;
}

export interface ReadReceiptPayload {
  chatId: string;
  userId: string;
  messageId: string;
  /** Milliseconds since 1970. */
  readAt: number;
}

export interface Location {
  place?: string;
  latitude?: number;
  longitude?: number;
}

export interface UserPresence {
  status: PresenceStatus;
  /** Milliseconds since 1970; 0 is never. */
  lastSeenAt: number;
  lastActiveAt: number;
  platform: Platform | null;
  customStatus: string | null;
  activity: string | null;
  location: Location | null;
  /** Chats the user is typing in, as far as the caller is in them. Only `getPresence` tells it. */
  isTypingIn?: string[];
}

export interface PresencePayload extends UserPresence {
  userId: string;
}

/** One event, as it is handed to listeners. */
export interface RealtimeEvent<P = Payload, T extends string = RealtimeEventType> {
  eventId: string;
  type: T;
  /** Whose inbox it came through; for an event of another topic, the user who is connected. */
  targetUserId: string;
  sourceUserId?: string;
  payload: P;
  /** Of a message whose payload does not say it, as an encrypted one: where it belongs, beside the payload. */
  chatId?: string;
  messageId?: string;
  /** Milliseconds since 1970. */
  timestamp: number;
  /** Seconds. */
  ttl?: number;
  priority?: Priority;
  /** Where it was published: `user:ann`, `chat:c1`. */
  topic: string;
  /** Its place in its topic; keyed state, presence and typing have none. */
  offset?: number;
  /** It lay in the log when its topic was subscribed to. */
  replay?: boolean;
  /** It is urgent and overtook a running replay. */
  ahead?: boolean;
  /** What is, rather than what has changed just now. */
  snapshot?: boolean;
}

/** The payload that comes with each type of event. */
export interface RealtimePayloads {
  chat_message: ChatMessagePayload;
  typing_indicator: TypingPayload;
  read_receipt: ReadReceiptPayload;
  presence_update: PresencePayload;
  notification: Payload;
  feed_update: Payload;
  match_created: Payload;
  like_received: Payload;
}
