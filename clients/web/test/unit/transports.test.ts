import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bench, FakeStream, ready, settle, until } from '../support/fakes.js';
import { at, streaming } from '../support/transports.js';

describe('transports', () => {
  test('go down to polls where nothing else passes, and up again', async () => {
    const bench = new Bench({ reconnectInterval: 10 });
    let give: (answer: unknown) => void = () => {};
    bench.answers.subscribeToRealtimeEventsV1 = data => data.positions && {
      enabled: true, connectionId: 'c1', subscriptions: ['user:ann'], denied: [], cursor: 'user:ann=e0.3',
    };
    bench.answers.realtimePingV1 = () => new Promise(resolve => (give = resolve));
    void bench.client.connect('ann', 'token');
    const got: unknown[] = [];
    bench.client.on('event', one => got.push(one.offset));
    for (let i = 0; i < 2; i++) {
      await settle();
      bench.socket.end(1006);
      await bench.clock.pass(20);
    }
    await bench.clock.pass(100);
    assert.equal(bench.client.getConnectionInfo().transport, 'poll');
    assert.equal(bench.client.getState(), 'connected');
    assert.equal(bench.session.get('avalo.transport'), 'poll');
    give({ events: [{ eventId: 'a', type: 'notification', payload: {}, timestamp: 1, topic: 'user:ann', offset: 4 }], cursor: 'user:ann=e0.4' });
    await settle();
    assert.deepEqual(got, [4]);
    assert.equal(bench.posts[bench.posts.length - 1]!.data.cursor, 'user:ann=e0.4');
    // A WebSocket that opens is proof enough.
    await bench.clock.pass(5_000);
    bench.socket.open();
    const socket = await bench.accept();
    assert.equal(bench.client.getConnectionInfo().transport, 'websocket');
    assert.deepEqual(socket.sent[0].connect.positions, { 'user:ann': { epoch: 'e0', offset: 4 } });
  });
});

describe('what is not the server\'s answer', () => {
  for (const status of [200, 400, 401, 403, 404]) {
    test(`such as a proxy\'s page with ${status}, ends no client: polls are tried`, async () => {
      const bench = new Bench({ reconnectInterval: 10 }, { ...at('sse'), webSocket: undefined });
      let isStreamed = true;
      bench.answers.subscribeToRealtimeEventsV1 = () => {
        if (!isStreamed) return { connectionId: 'c', subscriptions: ['user:ann'], denied: [], cursor: '' };
        isStreamed = false;
        return { raw: new Response('<html>', { status, headers: { 'content-type': 'text/html' } }) };
      };
      bench.answers.realtimePingV1 = () => new Promise(() => {});
      void bench.client.connect('ann', 'token');
      await until(() => bench.client.getState() === 'reconnecting');
      await bench.clock.pass(100);
      await until(() => bench.client.getState() === 'connected');
      assert.equal(bench.client.getConnectionInfo().transport, 'poll');
    });
  }

  test('is not what the server refuses', async () => {
    const bench = new Bench({}, { ...at('sse'), webSocket: undefined });
    bench.answers.subscribeToRealtimeEventsV1 = () => ({ error: { status: 'PERMISSION_DENIED', message: 'no' } });
    await assert.rejects(bench.client.connect('ann', 'token'), { code: 'UNAUTHENTICATED', message: 'disconnected: no' });
  });
});

describe('WebSockets', () => {
  test('are looked for where the server says, without using up its ticket', async () => {
    const stream = new FakeStream(false);
    const bench = new Bench({
      url: 'https://page.test',
      callable: () => async () => ({
        data: { ...ready.ready, wsUrl: 'wss://rt.elsewhere/ws?ticket=1', eventsUrl: 'https://rt.elsewhere/events?ticket=1' },
      }),
    }, { ...at('sse'), fetch: (async () => stream.raw) as any });
    stream.say(ready);
    await bench.client.connect('ann');
    await bench.clock.pass(6_000);
    assert.deepEqual(bench.sockets.map(socket => socket.url), ['wss://rt.elsewhere/ws']);
  });

  test('that cannot be made of the address are no reason to fail', async () => {
    class Refusing {
      constructor() {
        throw new SyntaxError('no address');
      }
    }
    const { bench } = await streaming({ webSocket: Refusing as any });
    await bench.clock.pass(6_000);
    assert.equal(bench.client.getState(), 'connected');
    const callable = () => async () => ({ data: { ...ready.ready, wsUrl: 'nowhere' } });
    const other = new Bench({ callable }, { webSocket: Refusing as any });
    void other.client.connect('ann');
    await settle();
    assert.equal(other.client.getState(), 'reconnecting');
  });
});
