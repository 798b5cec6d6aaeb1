/** An outbox against a real server, in Node. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { RealtimeWebSocketClient } from '../../src/index.js';
import { MemoryStore, Outbox } from '../../src/outbox/index.js';
import * as server from '../support/server.js';
import { NodeWebSocket } from '../support/websocket.js';

/** Ended in any case: one that goes on connecting keeps the process. */
const ends: (() => void)[] = [];
after(() => ends.forEach(end => end()));

test('400 things that wait are told in order, and cost no connection', async () => {
  const user = server.newUser();
  const chat = `chat-${user}`;
  const client = new RealtimeWebSocketClient({ url: server.url, deviceId: user, environment: { webSocket: NodeWebSocket } });
  const states: string[] = [];
  client.onStateChange(state => states.push(state));
  void client.connect(user, server.token(user, { chats: [chat] }));
  const outbox = new Outbox(client, { store: new MemoryStore() });
  ends.push(() => outbox.close(), () => client.disconnect());
  const told: string[] = [];
  outbox.on('sent', ({ entry }) => told.push(entry.data.eventId));
  outbox.on('failed', ({ error }) => told.push(error.code));
  const ids = Array.from({ length: 400 }, (_, i) => `${user}-${i}`);
  await Promise.all(ids.map(eventId => outbox.publish({
    type: 'chat_message', topic: `chat:${chat}`, eventId, payload: { chatId: chat, messageId: eventId },
  })));
  await server.eventually('all of them', () => told.length >= 400);
  assert.deepEqual(told, ids);
  assert.deepEqual(states, ['connecting', 'connected']);
});
