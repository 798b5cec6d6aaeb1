import type { RealtimeWebSocketClient } from '../client.js';
import { unreadMessagesMax } from '../limits.js';
import { chatOf, messageOf } from './messages.js';

export type Unread = Readonly<Record<string, number | undefined>>;

export const nothingUnread: Unread = {};

/**
 * How many messages are unread, by chat: what the server counts at each connection and for chats that are subscribed to later,
 * and what has come since. The server's count includes what it is about to replay.
 */
export class UnreadBook {
  #value = nothingUnread;
  /** Whose they are. */
  #user: string | null;
  /** The latest messages that came since, by chat: whether each counts, which the user's own do not. */
  #since = new Map<string, Map<string, boolean>>();
  #listeners = new Set<() => void>();

  /** Listens for as long as the client lives. */
  constructor(private readonly client: RealtimeWebSocketClient) {
    this.#user = this.#userNow;
    // A chat may be called `constructor`.
    const count = (chatId: string) => (Object.hasOwn(this.#value, chatId) && this.#value[chatId]) || 0;
    const set = (chatId: string, to: number) => {
      if (count(chatId) !== to) this.#set({ ...this.#value, [chatId]: to });
    };
    let isCounted = false;
    client.onStateChange(() => this.#begin());
    client.on('ready', ({ unread }) => {
      isCounted = !!unread;
      if (!unread) return;
      this.#begin();
      this.#since.clear();
      this.#set(unread);
    });
    client.on('subscribed', ({ subscriptions, unread = {} }) => {
      const added = Object.entries(unread).filter(([chatId]) => subscriptions.includes(`chat:${chatId}`));
      for (const [chatId] of added) this.#since.delete(chatId);
      this.#set({ ...this.#value, ...Object.fromEntries(added) });
    });
    client.on('chat_message', event => {
      const chatId = chatOf(event);
      if (!chatId || event.replay) return;
      let since = this.#since.get(chatId);
      if (!since) this.#since.set(chatId, (since = new Map()));
      // Once, wherever it lies.
      const id = messageOf(event);
      if (since.has(id)) return;
      const counts = event.sourceUserId !== this.#userNow;
      since.set(id, counts);
      if (since.size > unreadMessagesMax) since.delete(since.keys().next().value!);
      if (counts) set(chatId, count(chatId) + 1);
    });
    client.on('read_receipt', ({ payload: { chatId, userId, messageId }, snapshot }) => {
      // The count at the connection's beginning knows what was read before it.
      if ((snapshot && isCounted) || userId !== this.#userNow) return;
      // Read up to there, what came after it is still unread: all that came since, when it lies before.
      const since = [...(this.#since.get(chatId) ?? [])];
      const left = since.slice(since.findIndex(([id]) => id === messageId) + 1);
      this.#since.set(chatId, new Map(left));
      set(chatId, left.filter(([, counts]) => counts).length);
    });
  }

  /** What is the user's own. The same object until something changes. */
  of(viewer: string | null): Unread {
    return viewer !== null && viewer === this.#user ? this.#value : nothingUnread;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get #userNow(): string | null {
    return this.client.getConnectionInfo().userId;
  }

  /** Another user begins with nothing, until the server has counted. */
  #begin(): void {
    if (this.#user === this.#userNow) return;
    this.#user = this.#userNow;
    this.#since.clear();
    this.#set(nothingUnread);
  }

  #set(value: Unread): void {
    this.#value = value;
    for (const listener of [...this.#listeners]) listener();
  }
}
