import { Recent } from '../delivery/recent.js';
import { typingChatsMax, typingEvery } from '../limits.js';

/** Which of many "is typing" are worth a call: the first, one now and then while it goes on, and the end. Pure. */
export class TypingThrottle {
  /** When it was told last, by chat; -Infinity after an end. */
  #told = new Recent<number>(typingChatsMax);

  /** Whether this one is to be told. Call it with every key press; a call that fails is not made again any sooner. */
  take(chatId: string, isTyping: boolean, now: number): boolean {
    const last = this.#told.get(chatId) ?? -Infinity;
    const worth = isTyping ? now - last >= typingEvery || now < last : last !== -Infinity;
    if (worth) this.#told.set(chatId, isTyping ? now : -Infinity);
    return worth;
  }
}
