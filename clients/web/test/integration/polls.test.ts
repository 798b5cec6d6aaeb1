/** Polls of a real server, which answers a page at a time and not of all topics at once. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { RealtimeWebSocketClient } from '../../src/index.js';
import { UnreadBook } from '../../src/react/unread.js';
import * as server from '../support/server.js';

let client: RealtimeWebSocketClient | undefined;
afterEach(() => client?.disconnect());

/** A message of a kilobyte: some sixty of them fill an answer. */
const message = (chat: string, id: string, to: object) => server.call('publishRealtimeEvent', {
  type: 'chat_message', eventId: id, ...to, payload: { chatId: chat, messageId: id, text: 'x'.repeat(1_000) },
});

for (const transport of ['poll', 'sse']) {
  test(`over ${transport} all that lies in two topics is replay, is recovered, and is unread once`, async () => {
    const user = server.newUser();
    const chat = `unread-${user}`;
    const token = server.token(user, { chats: [chat] });
    const kept = new Map<string, string>();
    const made = () => new RealtimeWebSocketClient({
      url: server.url, deviceId: `device-${user}`, subscriptions: [`chat:${chat}`],
      positions: { getItem: key => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) },
      environment: { webSocket: undefined, session: { getItem: () => transport, setItem() {} } },
    });
    // The first time, for the server to know where the device begins.
    client = made();
    let recovered: [string, number][] = [];
    const got = { replay: 0, live: 0 };
    const begin = () => {
      client!.on('chat_message', ({ replay }) => void got[replay ? 'replay' : 'live']++);
      client!.on('recovered', ({ topic, events }) => void recovered.push([topic, events]));
      return client!.connect(user, token);
    };
    await begin();
    const both = async (prefix: string, count: number) => {
      for (let i = 0; i < count; i++) {
        await message(chat, `${prefix}-inbox-${i}`, { targetUserId: user });
        await message(chat, `${prefix}-chat-${i}`, { topic: `chat:${chat}` });
      }
    };
    await both('first', 1);
    await server.eventually('the first two', () => got.replay + got.live === 2);
    await server.eventually('they are kept', () => Object.keys(JSON.parse([...kept.values()][0] ?? '{}')).length === 2);
    client.disconnect();

    await both('missed', 150);
    [client, recovered, got.replay, got.live] = [made(), [], 0, 0];
    const unread = new UnreadBook(client);
    await begin();
    await server.eventually('both topics are recovered', () => recovered.length === 2);
    assert.deepEqual(recovered.sort(), [[`chat:${chat}`, 150], [`user:${user}`, 150]]);
    assert.deepEqual(got, { replay: 300, live: 0 });
    assert.deepEqual(unread.of(user), { [chat]: 302 });
    await both('then', 1);
    await server.eventually('what comes then', () => got.live === 2);
    assert.deepEqual(got, { replay: 300, live: 2 });
    assert.deepEqual(unread.of(user), { [chat]: 304 });
  });
}
