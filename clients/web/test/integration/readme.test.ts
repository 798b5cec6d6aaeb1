/** What the documents show works as it stands there. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { examples } from '../../.build/readme/examples.js';
import { ConnectionState, type RealtimeEvent, RealtimeEventType, RealtimeWebSocketClient } from '../../src/index.js';
import { publishRealtimeEvent } from '../../src/server/index.js';
import * as server from '../support/server.js';
import { NodeWebSocket } from '../support/websocket.js';

before(() => {
  // As Node has it from version 22 on.
  (globalThis as any).WebSocket = NodeWebSocket;
  process.env.AVALO_API_KEY = server.apiKey();
});
const clients: RealtimeWebSocketClient[] = [];
after(() => {
  for (const client of clients) client.disconnect();
});

test('the examples of the README', async () => {
  const user = server.newUser();
  const shown: unknown[][] = [];
  const { client, outbox, denied, unwatch, eventId } = await examples(
    server.url, user, () => server.token(user, { chats: ['c1', 'c2'] }), (...all) => shown.push(all));
  clients.push(client);
  assert.deepEqual(denied, []);
  await server.eventually('the outbox', async () => (await outbox.pending()).length === 0);
  await server.eventually('the messages', () =>
    ['Still here', 'Hello!'].every(text => shown.some(([chat, said]) => chat === 'c1' && said === text)));
  assert(shown.some(([text]) => text === `${eventId} is kept`));
  assert(shown.some(([who, status]) => who === 'bob' && status === 'offline'));
  unwatch();
  outbox.close();
});

test('the example of the service\'s own document', async () => {
  const [userId, shown] = [server.newUser(), [] as string[]];
  const authToken = server.token(userId);
  const client = new RealtimeWebSocketClient({
    reconnectInterval: 3000, maxReconnectAttempts: 10, pingInterval: 30_000, debug: false, url: server.url, deviceId: userId,
  });
  clients.push(client);
  client.onStateChange(state => {
    switch (state) {
      case ConnectionState.CONNECTED: return void shown.push('online');
      case ConnectionState.RECONNECTING: return void shown.push('reconnecting');
      case ConnectionState.DISCONNECTED: return void shown.push('offline');
      default: return undefined;
    }
  });
  await client.connect(userId, authToken);
  const handler = (event: RealtimeEvent) => shown.push(event.payload.text);
  client.on(RealtimeEventType.CHAT_MESSAGE, handler);
  await publishRealtimeEvent({
    eventId: `evt-${userId}`, type: RealtimeEventType.CHAT_MESSAGE, targetUserId: userId, sourceUserId: 'user_xyz',
    payload: { chatId: 'chat_456', messageId: 'msg_789', text: 'Hello!' }, timestamp: Date.now(), priority: 'high', ttl: 86_400,
  });
  await server.eventually('the message', () => shown.includes('Hello!'));
  client.off(RealtimeEventType.CHAT_MESSAGE, handler);
  client.disconnect(); client.connect();
  await server.eventually('a connection', () => client.getState() === ConnectionState.CONNECTED);
  const info = client.getConnectionInfo();
  assert.match(info.connectionId!, /^conn_/);
  assert.equal(info.reconnectAttempts, 0);
  assert.deepEqual(shown, ['online', 'Hello!', 'offline', 'online']);
});
