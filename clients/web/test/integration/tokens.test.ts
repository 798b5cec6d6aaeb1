/** Tokens of somebody else than who connects: the server must not take what one has seen for the other's. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { type ClientOptions, RealtimeWebSocketClient } from '../../src/index.js';
import * as server from '../support/server.js';
import { NodeWebSocket } from '../support/websocket.js';

const clients: RealtimeWebSocketClient[] = [];
afterEach(() => clients.splice(0).forEach(client => client.disconnect()));

/** Clients of one device in one chat, and the ids that they were handed. */
function make(device: string, chat: string, options: ClientOptions) {
  const client = new RealtimeWebSocketClient({
    url: server.url, deviceId: device, subscriptions: [`chat:${chat}`], reconnectInterval: 50, ...options,
    environment: { webSocket: NodeWebSocket, local: undefined, ...options.environment },
  });
  clients.push(client);
  const ids: string[] = [];
  client.on('chat_message', event => ids.push(event.eventId));
  return { client, ids };
}

for (const end of ['answered', 'lost'] as const) {
  test(`whoever signs in while a poll of somebody else is held misses nothing when it is ${end}`, async () => {
    const [ann, bob] = [server.newUser(), server.newUser()];
    const chat = `shared-${ann}`;
    const device = `device-${ann}`;
    const say = (eventId: string) => server.call('publishRealtimeEvent', {
      type: 'chat_message', topic: `chat:${chat}`, eventId, payload: { chatId: chat, messageId: eventId },
    });
    const tokens: Record<string, string> = Object.fromEntries([ann, bob].map(user => [user, server.token(user, { chats: [chat] })]));
    const before = make(device, chat, {});
    await before.client.connect(bob, tokens[bob]!);
    await say('seen');
    await server.eventually('the first', () => before.ids.length === 1);
    before.client.disconnect();
    for (const id of ['a', 'b', 'c']) await say(id);

    let signedIn = ann;
    let lose = (): void => {};
    const callable = (name: string) => async (data: unknown) => {
      const abort = new AbortController();
      lose = () => abort.abort();
      const response = await fetch(`${server.url}/${name}`, {
        method: 'POST', body: JSON.stringify({ data }), signal: abort.signal,
        headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${tokens[signedIn]}` },
      });
      const { result, error }: any = await response.json();
      if (error) throw Object.assign(new Error(error.message), { code: `functions/${error.status.toLowerCase().replace(/_/g, '-')}` });
      return { data: result };
    };
    const { client, ids } = make(device, chat, {
      callable, environment: { webSocket: undefined, session: { getItem: () => 'poll', setItem() {} } },
    });
    await client.connect(ann);
    await say('d');
    await server.eventually('what ann is told', () => ids.includes('d'));
    signedIn = bob;
    if (end === 'lost') lose();
    else await say('e');
    // A poll is refused by its connection's name, a new connection knows by its inbox.
    await server.eventually('it ends', () => client.getState() === 'disconnected');
    assert.equal(client.getConnectionInfo().reason, end === 'lost' ? 'unauthenticated' : 'permission_denied');
    client.disconnect();

    const after = make(device, chat, {});
    await after.client.connect(bob, tokens[bob]!);
    const missed = end === 'lost' ? ['a', 'b', 'c', 'd'] : ['a', 'b', 'c', 'd', 'e'];
    await server.eventually('what bob has missed', () => after.ids.length >= missed.length);
    assert.deepEqual(after.ids, missed);
  });
}

for (const transport of ['websocket', 'sse', 'poll']) {
  test(`over ${transport} a token of somebody else is asked for anew where only the inbox is asked for, and refused then`, async () => {
    const [ann, bob] = [server.newUser(), server.newUser()];
    const session = { getItem: () => transport, setItem() {} };
    const { client } = make(`device-${ann}`, '', { subscriptions: [], environment: { session } });
    const forced: boolean[] = [];
    const signedIn = ({ forceRefresh }: { forceRefresh: boolean }) => {
      forced.push(forceRefresh);
      return server.token(ann);
    };
    await assert.rejects(client.connect(bob, signedIn), { code: 'UNAUTHENTICATED', message: new RegExp(`user:${bob}`) });
    assert.deepEqual(forced, [false, true]);
    // A source that has caught up by then is all it takes.
    await client.connect(bob, ({ forceRefresh }) => server.token(forceRefresh ? bob : ann));
    assert.equal(client.getConnectionInfo().transport, transport);
  });

  test(`over ${transport} a token of somebody else is no connection, and another is`, async () => {
    const [ann, bob] = [server.newUser(), server.newUser()];
    const session = { getItem: () => transport, setItem() {} };
    const chats = [`both-${ann}`];
    const { client } = make(`device-${ann}`, chats[0]!, { environment: { session } });
    await assert.rejects(client.connect(bob, server.token(ann, { chats })), (error: Error) => {
      // A call does not say whose it was.
      assert.match(error.message, new RegExp(`the token is of ${transport === 'poll' ? 'another user' : ann}`));
      return (error as any).code === 'UNAUTHENTICATED';
    });
    assert.equal(client.getState(), 'disconnected');
    client.setToken(server.token(bob, { chats }));
    await server.eventually('a connection', () => client.getState() === 'connected');
    assert.equal(client.getConnectionInfo().transport, transport);
  });
}
