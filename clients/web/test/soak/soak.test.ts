/** Many clients for a long time, cut off at random while gateways die: none loses anything, or is handed anything twice. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { RealtimeWebSocketClient } from '../../src/index.js';
import { RealtimeServer } from '../../src/server/index.js';
import * as server from '../support/server.js';
import { NodeWebSocket } from '../support/websocket.js';

const seconds = Number(process.env.AVALO_SOAK_SECONDS ?? 600);
const clients: RealtimeWebSocketClient[] = [];
after(() => {
  for (const client of clients) client.disconnect();
});

const backend = () => new RealtimeServer({ url: server.url, apiKey: server.apiKey(), retries: 20 });
const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));
const pick = <T>(all: Iterable<T>): T | undefined => [...all][Math.floor(Math.random() * [...all].length)];

/** Clients of users of their own, each with what it was handed. */
async function connect(count: number, options: { reconnectInterval: number; isHerd?: boolean }) {
  return Promise.all(Array.from({ length: count }, async (_, i) => {
    // A user has at most twenty devices.
    const user = options.isHerd ? `herd-${Math.floor(i / 20)}` : server.newUser();
    const client = new RealtimeWebSocketClient({
      url: server.url, deviceId: `soak-${i}`, maxReconnectAttempts: 1e6, reconnectInterval: options.reconnectInterval,
      environment: { webSocket: NodeWebSocket },
    });
    clients.push(client);
    const got: string[] = [];
    client.on('notification', event => got.push(event.eventId));
    await client.connect(user, tokenOf(user));
    return { user, client, got };
  }));
}

const tokens = new Map<string, string>();
function tokenOf(user: string): string {
  let token = tokens.get(user);
  if (!token) tokens.set(user, (token = server.token(user)));
  return token;
}

test(`fifty clients for ${seconds} s of cuts, stalls and kills`, async () => {
  const people = await connect(50, { reconnectInterval: 200 });
  const publisher = backend();
  const sent = people.map(() => [] as string[]);
  let isOver = false;
  const faults = (async () => {
    for (let i = 0; !isOver; i++) {
      await pause(Math.random() * 1_000);
      if (Math.random() < .7) pick(NodeWebSocket.open)?.cut();
      else pick(NodeWebSocket.open)?.stall();
      if (i % 40 === 39) server.kill('gateway');
      if (i % 100 === 99) server.kill('scheduler');
    }
  })();
  for (const end = Date.now() + seconds * 1_000; Date.now() < end;) {
    await Promise.all(people.map(async ({ user }, i) => {
      const eventId = `${user}-${sent[i]!.length}`;
      sent[i]!.push(eventId);
      await publisher.publish({ type: 'notification', targetUserId: user, eventId, payload: {} });
    }));
    await pause(100);
  }
  isOver = true;
  await faults;
  for (const [i, { got }] of people.entries()) {
    await server.eventually(`all of client ${i}`, () => got.length >= sent[i]!.length, 120_000);
    assert.deepEqual(got, sent[i]);
  }
  for (const { client } of people) client.disconnect();
});

test('a thousand clients come back from a kill of every gateway, spread over their interval', async () => {
  const herd = await connect(1_000, { reconnectInterval: 3_000, isHerd: true });
  const back: number[] = [];
  let killed = 0;
  for (const { client } of herd) client.onStateChange(state => state === 'connected' && back.push(Date.now() - killed));
  // So long that the loss is each one's first.
  await pause(6_000);
  killed = Date.now();
  server.kill('gateway');
  await server.eventually('everybody', () => herd.every(({ client }) => client.getState() === 'connected') && back.length >= 1_000, 120_000);
  back.sort((a, b) => a - b);
  console.log(`# back after ms: first ${back[0]}, median ${back[500]}, 95 % ${back[949]}, last ${back[back.length - 1]}`);
  // Full jitter: half of them wait more than a quarter of the interval.
  assert(back[500]! > 750, `the median came back after ${back[500]} ms`);
  const publisher = backend();
  await Promise.all([...new Set(herd.map(one => one.user))].map(user =>
    publisher.publish({ type: 'notification', targetUserId: user, eventId: `herd-${user}`, payload: {} })));
  await server.eventually('the event for everybody', () => herd.every(({ got }) => got.length > 0), 120_000);
  assert(herd.every(({ got, user }) => got.length === 1 && got[0] === `herd-${user}`));
});
