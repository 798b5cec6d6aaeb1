import type { RealtimeWebSocketClient } from '../client.js';

/**
 * How many messages are unread, by chat: what the server counts at each connection, and what has come since. The server's count
 * includes what it is about to replay.
 */
export class UnreadBook {
  value: Readonly<Record<string, number>> = {};
  /** Messages that came since, by chat; each counts once, wherever it lies. */
  #since = new Map<string, Set<string>>();
  #listeners = new Set<() => void>();

  /** Listens for as long as the client lives. */
  constructor(client: RealtimeWebSocketClient) {
    const set = (chatId: string, count: number) => {
      if ((this.value[chatId] ?? 0) !== count) this.#set({ ...this.value, [chatId]: count });
    };
    client.on('ready', ({ unread }) => {
      if (!unread) return;
      this.#since.clear();
      this.#set(unread);
    });
    client.on('chat_message', ({ payload: { chatId, messageId }, sourceUserId, replay, eventId }) => {
      if (!chatId || replay || sourceUserId === client.getConnectionInfo().userId) return;
      let since = this.#since.get(chatId);
      if (!since) this.#since.set(chatId, (since = new Set()));
      const id = messageId ?? eventId;
      if (since.has(id)) return;
      since.add(id);
      set(chatId, (this.value[chatId] ?? 0) + 1);
    });
    client.on('read_receipt', ({ payload: { chatId, userId, messageId } }) => {
      if (userId !== client.getConnectionInfo().userId) return;
      // Read up to there: what came after it is still unread.
      const since = [...(this.#since.get(chatId) ?? [])];
      const left = since.includes(messageId) ? since.slice(since.indexOf(messageId) + 1) : [];
      this.#since.set(chatId, new Set(left));
      set(chatId, left.length);
    });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #set(value: Record<string, number>): void {
    this.value = value;
    for (const listener of [...this.#listeners]) listener();
  }
}
