/** For backends: publishing and the server's own functions, with an API key, in Node 18 or later. */
import { callOverHTTP } from '../calls/http.js';
import { newID, surroundings } from '../environment.js';
import { RealtimeError } from '../errors.js';
import type { BroadcastDraft, BroadcastResult, EventContent, EventDraft, PublishResult } from '../types/calls.js';
import type { UserPresence } from '../types/events.js';
import { assertOptions, assertURL, type ServerOptions } from './options.js';

export { RealtimeError } from '../errors.js';
export { RealtimeEventType } from '../types/events.js';
export type { BroadcastDraft, BroadcastResult, EventContent, EventDraft, PublishResult } from '../types/calls.js';
export type { FetchLike, ServerOptions } from './options.js';

export interface MembersResult {
  success: true;
  chatId: string;
  added: number;
  removed: number;
  members: number;
}

export interface Connection {
  connectionId: string;
  userId: string;
  deviceId: string;
  platform: string;
  connectedAt: number;
  lastPingAt: number;
  subscriptions: string[];
  subscriptionCount: number;
}

const retryFirst = 200;
const retryLongest = 5_000;

/** The functions of a server that need an API key. All of them may be called again without harm, and are, while it is away. */
export class RealtimeServer {
  readonly #options: ServerOptions;

  /** @throws RealtimeError INVALID_ARGUMENT */
  constructor(options: ServerOptions = {}) {
    assertOptions(options);
    this.#options = options;
  }

  /**
   * Publishes an event. When it is answered, it is kept.
   *
   * @throws RealtimeError which has the `eventId` where it is not known whether it was kept: again with that, it is kept once
   */
  publish(event: EventDraft): Promise<PublishResult> {
    return this.#once(event, one => this.call('publishRealtimeEvent', one));
  }

  /**
   * Publishes an event to many users, at most 100 000. Up to 1 000 have it all or none when it is answered; more are served in
   * the background, each once, and then the answer has a `broadcastId`.
   *
   * @throws RealtimeError with the `eventId`, as `publish` does
   */
  broadcast(userIds: string[], { targetUserId: _, ...event }: BroadcastDraft): Promise<BroadcastResult> {
    return this.#once(event, one => this.call('broadcastToUsers', { userIds, event: one }));
  }

  setChatMembers(chatId: string, userIds: string[]): Promise<MembersResult> {
    return this.call('setChatMembers', { chatId, userIds });
  }

  addChatMembers(chatId: string, userIds: string[]): Promise<MembersResult> {
    return this.call('addChatMembers', { chatId, userIds });
  }

  removeChatMembers(chatId: string, userIds: string[]): Promise<MembersResult> {
    return this.call('removeChatMembers', { chatId, userIds });
  }

  /** All members of a chat, page by page. */
  async *chatMembers(chatId: string): AsyncGenerator<{ userId: string; since: number }> {
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: any = await this.call('getChatMembers', { chatId, limit: 1000, ...(cursor && { cursor }) });
      yield* page.members;
      cursor = page.nextCursor;
    }
  }

  async getPresence(userIds: string[]): Promise<Record<string, UserPresence>> {
    return (await this.call<any>('getPresenceV1', { userIds })).presence;
  }

  /** Open connections, of one user or of everybody, page by page. */
  async *connections(userId?: string): AsyncGenerator<Connection> {
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: any = await this.call('listConnections', { ...(userId && { userId }), limit: 100, ...(cursor && { cursor }) });
      yield* page.connections;
      cursor = page.nextCursor;
    }
  }

  disconnectUser(
    userId: string, options: { connectionId?: string; reconnect?: boolean } = {},
  ): Promise<{ success: true; disconnected: number }> {
    return this.call('disconnectUser', { userId, ...options });
  }

  revokeTokens(
    which: { userId?: string; tokenId?: string; issuedBefore?: number; expiresAt?: number },
  ): Promise<{ success: true; issuedBefore?: number; keptUntil: number }> {
    return this.call('revokeTokens', which);
  }

  eraseUser(userId: string): Promise<{ success: true; userId: string; events: number; devices: number; memberships: number }> {
    return this.call('eraseUser', { userId });
  }

  /**
   * Calls any function, again while the server is away.
   *
   * @throws RealtimeError
   */
  async call<Result = any>(name: string, data: unknown): Promise<Result> {
    const variables = (globalThis as any).process?.env ?? {};
    const { url = variables.AVALO_URL, apiKey = variables.AVALO_API_KEY, timeout = 10_000, retries = 4, fetch } = this.#options;
    if (!url || !apiKey) throw new RealtimeError('FAILED_PRECONDITION', 'url and apiKey are missing: AVALO_URL, AVALO_API_KEY');
    assertURL(url);
    const environment = { ...surroundings(), ...(fetch && { fetch: fetch as any }) };
    const caller = { environment, url: url.replace(/\/+$/, ''), callable: undefined };
    for (let failures = 0; ; ) {
      try {
        return await callOverHTTP(caller, name, data, apiKey, timeout);
      } catch (thrown) {
        const error = RealtimeError.from(thrown);
        if (!error.isTransient || ++failures > retries) throw error;
        const bound = Math.min(retryLongest, retryFirst * 4 ** (failures - 1));
        const ms = Math.max(error.retryAfterMs ?? 0, bound / 2 + Math.random() * bound / 2);
        await new Promise<void>(resolve => environment.setTimeout(resolve, ms));
      }
    }
  }

  /** With an id, its own or one that is made here, it is kept once, however often it is tried. */
  async #once<Result>(event: EventContent, send: (event: EventContent) => Promise<Result>): Promise<Result> {
    const eventId = event.eventId ?? newID('evt_', Math.random);
    try {
      return await send({ ...event, eventId });
    } catch (thrown) {
      const error = RealtimeError.from(thrown);
      throw error.isTransient ? Object.assign(error, { eventId }) : error;
    }
  }
}

let shared = new RealtimeServer();

/**
 * Says where the server is, for the functions below; without it the environment says.
 *
 * @throws RealtimeError INVALID_ARGUMENT
 */
export function configure(options: ServerOptions): RealtimeServer {
  return (shared = new RealtimeServer(options));
}

export function publishRealtimeEvent(event: EventDraft): Promise<PublishResult> {
  return shared.publish(event);
}

export function broadcastToUsers(userIds: string[], event: BroadcastDraft): Promise<BroadcastResult> {
  return shared.broadcast(userIds, event);
}
