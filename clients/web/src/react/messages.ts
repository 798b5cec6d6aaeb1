/** Of which chat a message is, and by what name, as the server counts it. */
import type { RealtimeEvent } from '../types/events.js';

type Message = Pick<RealtimeEvent, 'eventId' | 'topic' | 'payload' | 'chatId' | 'messageId'>;

/**
 * Beside the payload where that is encrypted, in it otherwise, and in a chat's own topic that chat. A message that names another
 * chat there is one of none.
 */
export function chatOf({ topic, payload, chatId }: Message): string | undefined {
  const own = topic.startsWith('chat:') ? topic.slice(5) : undefined;
  const named = chatId ?? text(payload?.chatId) ?? own;
  return own !== undefined && named !== own ? undefined : named;
}

/** A message without a name of its own goes by its event's, in receipts as well. */
export function messageOf({ eventId, payload, messageId }: Message): string {
  return messageId ?? text(payload?.messageId) ?? eventId;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value ? value : undefined;
}
