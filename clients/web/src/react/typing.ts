import type { RealtimeWebSocketClient } from '../client.js';
import type { TypingPayload } from '../types/events.js';

/** Who types in a chat. Whoever is not heard of any more has stopped: an event may be lost, its end need not. */
export class TypingBook {
  value: readonly string[] = [];
  #timers = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #stops: (() => void)[];

  constructor(client: RealtimeWebSocketClient, chatId: string, changed: () => void) {
    const set = (userId: string, isTyping: boolean) => {
      if (isTyping === this.value.includes(userId)) return;
      this.value = isTyping ? [...this.value, userId] : this.value.filter(one => one !== userId);
      changed();
    };
    const end = (userId: string) => {
      clearTimeout(this.#timers.get(userId));
      this.#timers.delete(userId);
      set(userId, false);
    };
    this.#stops = [
      client.on('typing_indicator', ({ payload }: { payload: TypingPayload }) => {
        if (payload.chatId !== chatId) return;
        if (!payload.isTyping) return end(payload.userId);
        clearTimeout(this.#timers.get(payload.userId));
        this.#timers.set(payload.userId, setTimeout(() => end(payload.userId), payload.expiresInMs));
        set(payload.userId, true);
      }),
      // Who has sent it types no more.
      client.on('chat_message', ({ payload, sourceUserId }) => {
        if (payload.chatId === chatId && sourceUserId) end(sourceUserId);
      }),
    ];
  }

  close(): void {
    for (const stop of this.#stops) stop();
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }
}
