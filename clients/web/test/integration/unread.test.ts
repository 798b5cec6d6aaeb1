/** What a page counts as unread is what the server counts, whichever way a message says which one it is. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { RealtimeWebSocketClient } from '../../src/index.js';
import { UnreadBook } from '../../src/react/unread.js';
import * as server from '../support/server.js';
import { NodeWebSocket } from '../support/websocket.js';

const clients: RealtimeWebSocketClient[] = [];
afterEach(() => clients.splice(0).forEach(client => client.disconnect()));

test('in the payload, beside it, or not at all, in the chat and in the inbox', async () => {
  const user = server.newUser();
  const chat = `chat-${user}`;
  const token = server.token(user, { chats: [chat] });
  /** Another device, which the server has count anew. */
  const connect = async (deviceId: string) => {
    const client = new RealtimeWebSocketClient({
      url: server.url, deviceId, subscriptions: [`chat:${chat}`], environment: { webSocket: NodeWebSocket },
    });
    clients.push(client);
    const book = new UnreadBook(client);
    await client.connect(user, token);
    return { client, count: () => book.of(user)[chat] ?? 0 };
  };
  const page = await connect(`${user}-page`);
  let count = 0;
  const say = (to: object, more: object) => server.call('publishRealtimeEvent', {
    type: 'chat_message', eventId: `${user}-${++count}`, sourceUserId: 'bob', payload: { sealed: '…' }, ...to, ...more,
  });
  const [topic, inbox] = [{ topic: `chat:${chat}` }, { targetUserId: user }];
  const kinds: [to: object, more: object][] = [
    [topic, { payload: { chatId: chat, messageId: 'within' } }],
    [inbox, { payload: { chatId: chat, messageId: 'within' } }],
    [topic, { messageId: 'beside' }],
    [inbox, { chatId: chat, messageId: 'beside' }],
    [inbox, { chatId: chat, messageId: 'beside-inbox' }],
    [topic, {}],
    [topic, { payload: { chatId: 'another', messageId: 'of-no-chat' } }],
  ];
  for (const [to, more] of kinds) await say(to, more);
  await server.eventually('four are unread', () => page.count() === 4);
  assert.equal((await connect(`${user}-second`)).count(), 4);

  await page.client.sendReadReceipt(chat, 'beside-inbox');
  await server.eventually('one came later', () => page.count() === 1);
  assert.equal((await connect(`${user}-third`)).count(), 1);

  await page.client.markChatAsRead(chat);
  await server.eventually('none is unread', () => page.count() === 0);
  assert.equal((await connect(`${user}-fourth`)).count(), 0);
});
