import type { RealtimeWebSocketClient } from '../client.js';
import { chatOf } from './messages.js';

export const noOne: readonly string[] = [];

/** Who types in a chat, as one user is told. Whoever is not heard of any more has stopped: an event may be lost, its end need not. */
export class TypingBook {
  value = noOne;

  constructor(private readonly client: RealtimeWebSocketClient, private readonly viewer: string | null, private readonly chatId: string) {}

  /** Listens until the answered function is called; then nobody types. */
  watch(tell: () => void): () => void {
    const timers = new Map<string, ReturnType<typeof setTimeout>>();
    const set = (userId: string, isTyping: boolean) => {
      if (isTyping === this.value.includes(userId)) return;
      this.value = isTyping ? [...this.value, userId] : this.value.filter(one => one !== userId);
      tell();
    };
    const end = (userId: string) => {
      clearTimeout(timers.get(userId));
      timers.delete(userId);
      set(userId, false);
    };
    const stops = [
      this.client.on('typing_indicator', ({ payload, targetUserId }) => {
        if (payload.chatId !== this.chatId || targetUserId !== this.viewer) return;
        if (!payload.isTyping) return end(payload.userId);
        clearTimeout(timers.get(payload.userId));
        timers.set(payload.userId, setTimeout(() => end(payload.userId), payload.expiresInMs));
        set(payload.userId, true);
      }),
      // Who has sent it types no more.
      this.client.on('chat_message', event => {
        if (event.sourceUserId && chatOf(event) === this.chatId) end(event.sourceUserId);
      }),
    ];
    return () => {
      for (const stop of stops) stop();
      for (const timer of timers.values()) clearTimeout(timer);
      this.value = noOne;
    };
  }
}
