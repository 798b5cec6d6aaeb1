/** The client against a real server, in Node. */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { type ClientOptions, type RealtimeEvent, RealtimeWebSocketClient } from '../../src/index.js';
import * as server from '../support/server.js';
import { NodeWebSocket } from '../support/websocket.js';

/** Ended after each test, also one that failed. */
const clients = new Set<RealtimeWebSocketClient>();
afterEach(() => {
  for (const client of clients) client.disconnect();
  clients.clear();
});

function make(options: ClientOptions = {}, environment: ClientOptions['environment'] = {}): RealtimeWebSocketClient {
  const client = new RealtimeWebSocketClient({
    url: server.url, reconnectInterval: 50, deviceId: `device-${server.newUser()}`, maxReconnectAttempts: 1000, ...options,
    environment: { webSocket: NodeWebSocket, ...environment },
  });
  clients.add(client);
  return client;
}

/** A client that is connected, with what it was handed. */
async function connected(
  user: string, options: ClientOptions = {}, environment: ClientOptions['environment'] = {}, chats: string[] = [],
) {
  const client = make(options, environment);
  const got: RealtimeEvent[] = [];
  client.on('event', event => got.push(event));
  await client.connect(user, server.token(user, { chats }));
  return { client, got, ids: () => got.map(event => event.eventId) };
}

/** The user's device `kept-…` comes back, and is given what it has missed and nothing else. */
async function comesBack(user: string): Promise<void> {
  await server.publish(user, 'missed');
  const { ids } = await connected(user, { deviceId: `kept-${user}` });
  await server.eventually('the missed', () => ids().includes('missed'));
  assert.deepEqual(ids(), ['missed']);
}

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

describe('over a WebSocket', () => {
  test('an event arrives, with its latency known', async () => {
    const user = server.newUser();
    const { client, ids } = await connected(user);
    await server.publish(user, 'a');
    await server.eventually('the event', () => ids().includes('a'));
    await server.eventually('the latency', () => client.getLatency() !== null);
  });

  test('what was published while it was cut off comes once, in order, and is recovered', async () => {
    const user = server.newUser();
    const { client, ids } = await connected(user);
    let recovered = 0;
    client.on('recovered', () => recovered++);
    await server.publish(user, 'before');
    await server.eventually('the first', () => ids().length === 1);
    for (const socket of NodeWebSocket.open) socket.cut();
    for (const id of names('during', 20)) await server.publish(user, id);
    await server.eventually('all', () => ids().length >= 21);
    assert.deepEqual(ids(), ['before', ...names('during', 20)]);
    assert(recovered >= 1);
  });

  test('a device that comes back later is given what it has not acknowledged, and nothing else', async () => {
    const user = server.newUser();
    const first = await connected(user, { deviceId: `kept-${user}` });
    await server.publish(user, 'seen');
    await server.eventually('the event', () => first.ids().length === 1);
    first.client.disconnect();
    await comesBack(user);
  });

  test('what was processed on a connection that was cut is acknowledged by the next one', async () => {
    const user = server.newUser();
    const first = await connected(user, { deviceId: `kept-${user}` });
    await server.eventually('the latency', () => first.client.getLatency() !== null);
    let isRecovered = false;
    first.client.on('recovered', () => (isRecovered = true));
    first.client.on('notification', () => [...NodeWebSocket.open].forEach(socket => socket.cut()));
    await server.publish(user, 'seen');
    await server.eventually('it is back', () => isRecovered);
    first.client.disconnect();
    await comesBack(user);
  });

  test('a topic that was denied is there when it is asked for again with a token that allows it', async () => {
    const user = server.newUser();
    const chat = `later-${user}`;
    const { client, ids } = await connected(user);
    await assert.rejects(client.subscribe(`chat:${chat}`), { code: 'PERMISSION_DENIED' });
    client.setToken(server.token(user, { chats: [chat] }));
    assert.deepEqual((await client.subscribe(`chat:${chat}`)).subscriptions, [`chat:${chat}`]);
    await server.call('publishRealtimeEvent', {
      type: 'chat_message', topic: `chat:${chat}`, eventId: 'hello', payload: { chatId: chat, messageId: 'm' },
    });
    await server.eventually('the message', () => ids().includes('hello'));
  });

  test('whoever watches somebody later is told how they are as well', async () => {
    const { client } = await connected(server.newUser());
    const seen: string[] = [];
    client.watchPresence('nobody', event => seen.push(`first ${event.payload.status}`));
    await server.eventually('the first', () => seen.length === 1);
    client.watchPresence('nobody', event => seen.push(`second ${event.payload.status}`));
    await server.eventually('the second', () => seen.length === 2);
    assert.deepEqual(seen, ['first offline', 'second offline']);
  });

  test('people in a chat see each other type, read, publish, and how they are', async () => {
    const [ann, bob] = [server.newUser(), server.newUser()];
    const chat = `chat-${ann}`;
    const a = await connected(ann, { subscriptions: [`chat:${chat}`] }, {}, [chat]);
    const b = await connected(bob, {}, {}, [chat]);
    assert.deepEqual((await b.client.subscribe(`chat:${chat}`)).subscriptions.filter(one => one.startsWith('chat:')), [`chat:${chat}`]);
    const seen: string[] = [];
    a.client.watchPresence(bob, event => seen.push(event.payload.status));
    await b.client.updatePresence({ status: 'busy' });
    await server.eventually('presence', () => seen.includes('busy'));
    assert.equal((await a.client.getPresence([bob]))[bob]!.status, 'busy');
    await b.client.sendTyping(chat);
    await server.eventually('typing', () => a.got.some(event => event.type === 'typing_indicator'));
    const payload = { chatId: chat, messageId: 'm1', text: 'hello' };
    const published = await a.client.publish({ type: 'chat_message', topic: `chat:${chat}`, payload });
    await server.eventually('the message', () => b.ids().includes(published.eventId));
    assert.equal((await b.client.markChatAsRead(chat)).markedCount, 1);
    await server.eventually('the receipt', () => a.got.some(event =>
      event.type === 'read_receipt' && (event.payload as any).userId === bob));
  });

  test('a topic that is not allowed is told, and the others go on', async () => {
    const user = server.newUser();
    const client = make({ subscriptions: ['chat:of-others'] });
    const denied: string[] = [];
    client.on('denied', one => denied.push(one.topic));
    await client.connect(user, server.token(user));
    assert.deepEqual(denied, ['chat:of-others']);
  });

  test('a token that ends is replaced, and nobody notices', async () => {
    const user = server.newUser();
    const client = make();
    const states: string[] = [];
    client.onStateChange(state => states.push(state));
    let asked = 0;
    await client.connect(user, () => (asked++, server.token(user, { ttl: asked === 1 ? '2s' : '1h' })));
    await server.eventually('a second token', () => asked === 2);
    await server.publish(user, 'after');
    const got: string[] = [];
    client.on('notification', event => got.push(event.eventId));
    await server.publish(user, 'later');
    await server.eventually('the event', () => got.includes('later'));
    assert.deepEqual(states, ['connecting', 'connected']);
  });

  test('a token that is no good ends it with the reason, and a good one begins again', async () => {
    const user = server.newUser();
    const client = make();
    await assert.rejects(client.connect(user, 'not-a-token'), { code: 'UNAUTHENTICATED' });
    assert.equal(client.getConnectionInfo().reason, 'unauthenticated');
    client.setToken(server.token(user));
    await server.eventually('a connection', () => client.getState() === 'connected');
  });

  test('who is disconnected by a server stays so, or comes back, as it says', async () => {
    const user = server.newUser();
    const { client } = await connected(user);
    const states: string[] = [];
    client.onStateChange(state => states.push(state));
    // Presence, which knows who is connected, hears of a connection a moment after its client.
    const disconnect = async (reconnect: boolean) =>
      (await server.call('disconnectUser', { userId: user, reconnect })).disconnected === 1;
    await server.eventually('it is disconnected', () => disconnect(true));
    await server.eventually('it is back', () => states.includes('reconnecting') && client.getState() === 'connected');
    await server.eventually('it is disconnected again', () => disconnect(false));
    await server.eventually('it stays away', () => client.getConnectionInfo().reason === 'disconnected');
  });
});

describe('where WebSockets do not pass', () => {
  /** Refuses, as a proxy does. */
  class NoWebSocket extends NodeWebSocket {
    constructor() {
      super('ws://127.0.0.1:1/', []);
    }
  }

  test('a stream carries events, receipts of what is acknowledged, and new topics', async () => {
    const user = server.newUser();
    const chat = `c-${user}`;
    const { client, ids } = await connected(user, {}, { webSocket: NoWebSocket }, [chat]);
    assert.equal(client.getConnectionInfo().transport, 'sse');
    for (const id of names('e', 5)) await server.publish(user, id);
    await server.eventually('all', () => ids().length >= 5);
    await client.subscribe(`chat:${chat}`);
    await client.publish({ type: 'chat_message', topic: `chat:${chat}`, payload: { chatId: chat, messageId: 'm' }, eventId: 'm' });
    await server.publish(user, 'again');
    await server.eventually('the last two', () => ids().length >= 7);
    assert.deepEqual(ids().filter(id => id !== 'm'), [...names('e', 5), 'again']);
    assert.equal(ids().filter(id => id === 'm').length, 1);
  });

  test('a device that comes back after a stream is given what it has not processed, and nothing else', async () => {
    const user = server.newUser();
    const polls: Promise<Response>[] = [];
    const noting: typeof fetch = (input, init) => {
      const answer = fetch(input, init);
      if (String(input).endsWith('realtimePingV1')) polls.push(answer);
      return answer;
    };
    const first = await connected(user, { deviceId: `kept-${user}` }, { webSocket: NoWebSocket, fetch: noting });
    for (const id of names('e', 3)) await server.publish(user, id);
    await server.eventually('all', () => first.ids().length === 3);
    first.client.disconnect();
    await Promise.all(polls);
    assert.equal(polls.length, 1);
    await comesBack(user);
  });

  test('polls carry the same where nothing streams', async () => {
    const user = server.newUser();
    const noStream: typeof fetch = (input, init) =>
      (init?.headers as any)?.Accept ? Promise.reject(new TypeError('no')) : fetch(input, init);
    const { client, ids } = await connected(user, {}, { webSocket: NoWebSocket, fetch: noStream });
    assert.equal(client.getConnectionInfo().transport, 'poll');
    for (const id of names('e', 5)) await server.publish(user, id);
    await server.eventually('all', () => ids().length >= 5);
    assert.equal((await client.getPresence([user]))[user]!.status, 'online');
    assert.deepEqual(ids(), names('e', 5));
  });

  test('WebSockets are used as soon as they pass', async () => {
    const user = server.newUser();
    let passes = false;
    class Maybe extends NodeWebSocket {
      constructor(url: string, protocols: string[]) {
        super(passes ? url : 'ws://127.0.0.1:1/', protocols);
      }
    }
    const { client, ids } = await connected(user, {}, { webSocket: Maybe });
    assert.equal(client.getConnectionInfo().transport, 'sse');
    await server.publish(user, 'a');
    await server.eventually('the first', () => ids().length === 1);
    passes = true;
    await server.eventually('a WebSocket', () =>
      client.getConnectionInfo().transport === 'websocket' && client.getState() === 'connected');
    await server.publish(user, 'b');
    await server.eventually('the second', () => ids().length === 2);
    assert.deepEqual(ids(), ['a', 'b']);
  });

  test('tickets serve a client whose token the Firebase SDK has', async () => {
    const user = server.newUser();
    const token = server.token(user);
    const callable = (name: string) => async (data: unknown) => {
      const response = await fetch(`${server.url}/${name}`, {
        method: 'POST', body: JSON.stringify({ data }),
        headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` },
      });
      const { result, error }: any = await response.json();
      if (error) throw Object.assign(new Error(error.message), { code: `functions/${error.status.toLowerCase()}` });
      return { data: result };
    };
    for (const [webSocket, transport] of [[NodeWebSocket, 'websocket'], [NoWebSocket, 'sse']] as const) {
      const client = make({ callable }, { webSocket });
      const got: string[] = [];
      client.on('event', event => got.push(event.eventId));
      await client.connect(user);
      assert.equal(client.getConnectionInfo().transport, transport);
      await server.publish(user, transport);
      await server.eventually(transport, () => got.includes(transport));
    }
  });
});

describe('through kills and restarts', () => {
  test('twenty events through a kill of the gateways are each handed on once, in order', async () => {
    const user = server.newUser();
    const { ids } = await connected(user);
    const all = names('k', 20);
    for (const [i, id] of all.entries()) {
      if (i === 5 || i === 12) server.kill('gateway');
      await server.publish(user, id);
    }
    await server.eventually('all', () => ids().length >= 20);
    assert.deepEqual(ids(), all);
  });

  test('polls that begin while the log is away have all topics when they are there', async () => {
    const user = server.newUser();
    const chat = `poll-${user}`;
    const client = make({ subscriptions: [`chat:${chat}`] }, { webSocket: undefined, session: { getItem: () => 'poll', setItem() {} } });
    const got: string[] = [];
    client.on('event', event => got.push(event.eventId));
    const token = server.token(user, { chats: [chat] });
    server.kill('scheduler');
    await client.connect(user, token);
    assert.equal(client.getConnectionInfo().transport, 'poll');
    await server.publish(user, 'a');
    await server.eventually('publishing', () => server.call('publishRealtimeEvent', {
      type: 'chat_message', topic: `chat:${chat}`, eventId: 'b', payload: { chatId: chat, messageId: 'm' },
    }).then(() => true, () => false));
    await server.eventually('both', () => got.length >= 2);
    // Of two topics in one answer either may be first.
    assert.deepEqual(got.sort(), ['a', 'b']);
  });

  test('a restart in peace is obeyed, and nothing is lost', async () => {
    const user = server.newUser();
    const { ids } = await connected(user);
    await server.publish(user, 'before');
    await server.eventually('the first', () => ids().length === 1);
    server.restart('gateway');
    await server.publish(user, 'after');
    await server.eventually('the second', () => ids().length === 2);
    assert.deepEqual(ids(), ['before', 'after']);
  });

  test('many connections cut at random lose nothing and see nothing twice', async () => {
    const users = Array.from({ length: 8 }, () => server.newUser());
    const clients = await Promise.all(users.map(user => connected(user)));
    const all = names('s', 40);
    for (const [i, id] of all.entries()) {
      await Promise.all(users.map(user => server.publish(user, `${id}-${user}`)));
      const open = [...NodeWebSocket.open];
      if (i % 4 === 0) open[i % Math.max(1, open.length)]?.cut();
      if (i % 10 === 9) open[(i * 7) % Math.max(1, open.length)]?.stall();
    }
    for (const [i, { ids }] of clients.entries()) {
      await server.eventually('all of them', () => ids().length >= 40, 120_000);
      assert.deepEqual(ids(), all.map(id => `${id}-${users[i]}`));
    }
  });
});
