/** What is to compile and what is not: read by the compiler alone, each time the tests are built. */
import type {
  ChatMessagePayload, EventDraft, PresencePayload, ReadyInfo, RealtimeEvent, RealtimeWebSocketClient, SubscribeResult,
} from '../../src/index.js';
import type { Outbox } from '../../src/outbox/index.js';
import { usePresence, useTopic, useUnread } from '../../src/react/index.js';
import { broadcastToUsers, configure, publishRealtimeEvent, type RealtimeServer } from '../../src/server/index.js';

interface OwnPayload { chatId: string; messageId: string; text: string }

export async function drafts(client: RealtimeWebSocketClient, outbox: Outbox, payload: OwnPayload) {
  const news = { type: 'notification', payload } as const;
  const draft: EventDraft = { type: 'chat_message', topic: 'chat:c', payload };
  await client.publish(draft);
  await client.publish({ ...draft, eventId: 'again' });
  await outbox.publish({ type: 'CHAT_MESSAGE', targetUserId: 'ann', payload: { ...payload } });
  await publishRealtimeEvent({ ...news, targetUserId: 'ann' });
  await broadcastToUsers(['ann'], news);

  // @ts-expect-error for nobody
  await client.publish(news);
  // @ts-expect-error for a user and a topic
  await outbox.publish({ ...news, targetUserId: 'ann', topic: 'chat:c' });
  // @ts-expect-error for nobody
  await publishRealtimeEvent(news);
  // @ts-expect-error it is the users who are named
  await broadcastToUsers(['ann'], { ...news, topic: 'chat:c' });
  // @ts-expect-error the same
  await broadcastToUsers(['ann'], { ...news, targetUserId: 'ann' });
  // @ts-expect-error of no known type
  await client.publish({ ...draft, type: 'chat_mesage' });
}

export async function answers(server: RealtimeServer, event: RealtimeEvent<ChatMessagePayload>) {
  const { userId }: { userId: string } = await server.eraseUser('ann');
  const beside: (string | undefined)[] = [event.chatId, event.messageId];
  // @ts-expect-error a number
  configure({ retries: 'x' });
  return [userId, beside];
}

/** Whoever was not told of is not there. */
export function absent(ready: ReadyInfo, result: SubscribeResult) {
  const [presence, unread, denied] = [usePresence(['bob'] as const), useUnread(), useTopic('chat:c')];
  const told: PresencePayload | undefined = presence['bob'];
  const counts: (number | undefined)[] = [unread['c'], ready.unread?.['c'], result.unread?.['c']];
  // @ts-expect-error perhaps not there
  presence.bob.status;
  // @ts-expect-error perhaps not there
  unread.c.toFixed();
  return [told, counts, denied[0]?.topic];
}
