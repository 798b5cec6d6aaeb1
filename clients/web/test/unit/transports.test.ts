import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bench, event, FakeStream, ready, settle, until } from '../support/fakes.js';

const at = (transport: string) => ({ session: { getItem: () => transport, setItem() {} } });
const live = (offset: number) => ({ live: { topic: 'user:ann', epoch: 'e0', offset } });

/** A client on a stream, without WebSockets unless there are some. */
async function streaming(environment: object = { webSocket: undefined }) {
  const bench = new Bench({}, { ...at('sse'), ...environment });
  const streams: FakeStream[] = [];
  bench.answers.subscribeToRealtimeEventsV1 = () => {
    streams.push(new FakeStream());
    return streams[streams.length - 1];
  };
  bench.answers.realtimePingV1 = () => ({ success: true, events: [], cursor: '' });
  const got: unknown[] = [];
  bench.client.on('event', one => got.push(one.offset ?? one.eventId));
  void bench.client.connect('ann', 'token');
  await until(() => streams.length === 1);
  const receive = async (...frames: object[]) => {
    const before = got.length;
    streams[streams.length - 1]!.say(...frames);
    const events = frames.filter(frame => 'event' in frame).length;
    await until(() => got.length === before + events);
  };
  await receive(ready, live(0));
  await until(() => bench.client.getState() === 'connected');
  const calls = (name: string) => bench.posts.filter(post => post.name === name);
  return { bench, streams, got, receive, calls };
}

describe('a stream', () => {
  test('is begun again with what is to be acknowledged, now and then, and nobody notices', async () => {
    const { bench, streams, got, receive, calls } = await streaming();
    const told: string[] = [];
    bench.client.on('ready', () => told.push('ready'));
    bench.client.on('recovered', () => told.push('recovered'));
    await receive(event('user:ann', 1), event('user:ann', 2));
    await bench.clock.pass(10_000);
    await receive(event('user:ann', 3));
    await bench.clock.pass(11_000);
    assert.equal(streams.length, 2);
    assert.equal(streams[0]!.isAborted, true);
    const { data } = calls('subscribeToRealtimeEventsV1')[1]!;
    assert.equal(data.connectionId, 'conn_1');
    assert.deepEqual(data.positions, { 'user:ann': { epoch: 'e0', offset: 3 } });
    const receipts = [{ chatId: 'c', userId: 'bob', messageId: 'm', readAt: 1, version: 1 }];
    streams[1]!.say({ ready: { ...ready.ready, receipts } });
    await until(() => got.length === 4);
    await receive(live(3), event('user:ann', 4));
    // A receipt that came meanwhile is told by `ready` alone.
    assert.deepEqual(got, [1, 2, 3, 'receipt_c_bob_1', 4]);
    assert.deepEqual(told, []);
    assert.deepEqual(bench.states, ['connecting', 'connected']);
    assert.deepEqual(calls('realtimePingV1'), []);
  });

  test('that has nothing to acknowledge goes on', async () => {
    const { bench, streams, receive } = await streaming();
    await receive(event('user:ann', 1));
    await bench.clock.pass(25_000);
    streams[1]!.say(ready, live(1));
    // As a stream that lives says now and then.
    for (let i = 0; i < 4; i++) {
      await bench.clock.pass(20_000);
      streams[1]!.say({ live: { topic: 'user:ann', epoch: 'e0', offset: 1 } });
    }
    assert.equal(streams.length, 2);
  });

  test('that is ended is acknowledged by a poll, which outlives the page', async () => {
    const { bench, receive, calls, streams } = await streaming();
    await receive(event('user:ann', 1), event('user:ann', 2));
    bench.client.disconnect();
    assert.equal(streams[0]!.isAborted, true);
    const [{ data, token, keepalive }] = calls('realtimePingV1') as [any];
    assert.deepEqual(data, { cursor: 'user:ann=e0.2', deviceId: 'dev', holdMs: 1_000 });
    assert.deepEqual([token, keepalive], ['token', true]);
    await settle();
    assert.equal(bench.clock.pending, 0);
  });

  test('of a page that goes, and may come back, is acknowledged both ways', async () => {
    const { bench, receive, calls, streams } = await streaming();
    bench.page('leave');
    assert.equal(streams.length, 1);
    await receive(event('user:ann', 1));
    bench.page('leave');
    await until(() => streams.length === 2);
    assert.equal(calls('realtimePingV1').length, 1);
    assert.deepEqual(calls('subscribeToRealtimeEventsV1')[1]!.data.positions, { 'user:ann': { epoch: 'e0', offset: 1 } });
  });

  test('that is lost is acknowledged by the next one', async () => {
    const { bench, receive, calls, streams } = await streaming();
    await receive(event('user:ann', 1));
    await bench.clock.pass(50);
    streams[0]!.end();
    await until(() => bench.client.getState() === 'reconnecting');
    await bench.clock.pass(3_000);
    await until(() => streams.length === 2);
    assert.deepEqual(calls('subscribeToRealtimeEventsV1')[1]!.data.positions, { 'user:ann': { epoch: 'e0', offset: 1 } });
    assert.deepEqual(calls('realtimePingV1'), []);
    // Where it begins is acknowledged by that.
    streams[1]!.say(ready, live(1));
    await until(() => bench.client.getState() === 'connected');
    await bench.clock.pass(30_000);
    assert.equal(streams.length, 2);
  });

  test('acknowledges nothing where the Firebase SDK has the token, which may be somebody else\'s by then', async () => {
    let signedIn = 'ann';
    const calls: string[] = [];
    const streams: FakeStream[] = [];
    const bench = new Bench({
      callable: name => async () => {
        calls.push(`${signedIn} ${name}`);
        return { data: { ...ready.ready, eventsUrl: 'https://rt.test/events' } };
      },
    }, { ...at('sse'), webSocket: undefined });
    bench.answers.events = () => {
      streams.push(new FakeStream(false));
      return streams[streams.length - 1];
    };
    let count = 0;
    bench.client.on('event', () => count++);
    void bench.client.connect('ann');
    await until(() => streams.length === 1);
    streams[0]!.say(ready, live(0), event('user:ann', 1));
    await until(() => count === 1);
    signedIn = 'bob';
    await bench.clock.pass(21_000);
    streams[0]!.say(event('user:ann', 2));
    await until(() => count === 2);
    await bench.clock.pass(100);
    bench.page('leave');
    void bench.client.connect('bob');
    await until(() => streams.length === 2);
    assert.deepEqual(calls, ['ann subscribeToRealtimeEventsV1', 'bob subscribeToRealtimeEventsV1']);
    bench.client.disconnect();
  });

  test('is begun again at a time of its own, so that not all are at once', async () => {
    const { bench, streams, receive } = await streaming();
    bench.chance = 0;
    await receive(event('user:ann', 1));
    await bench.clock.pass(9_900);
    assert.equal(streams.length, 1);
    await bench.clock.pass(200);
    assert.equal(streams.length, 2);
  });

  test('is begun again in the epoch that a gap told of, so that it is told once', async () => {
    const { bench, receive, calls, got } = await streaming();
    const gaps: unknown[] = [];
    bench.client.on('gap', gap => gaps.push(gap));
    await receive({ gap: { topic: 'user:ann', reason: 'epoch', epoch: 'e9' } }, event('chat:c', 1, { epoch: 'e0' }));
    await bench.clock.pass(21_000);
    assert.deepEqual([gaps.length, got], [1, [1]]);
    const { data } = calls('subscribeToRealtimeEventsV1')[1]!;
    assert.deepEqual(data.positions['user:ann'], { epoch: 'e9', offset: 0 });
  });

  test('that a listener of ready ends leaves nothing that looks for WebSockets', async () => {
    const bench = new Bench({}, at('sse'));
    bench.answers.subscribeToRealtimeEventsV1 = () => {
      const stream = new FakeStream();
      stream.say(ready);
      return stream;
    };
    let isOver = false;
    bench.client.on('ready', () => {
      bench.client.disconnect();
      isOver = true;
    });
    void bench.client.connect('ann', 'token');
    await until(() => isOver);
    await bench.clock.pass(700_000);
    assert.deepEqual([bench.clock.pending, bench.sockets.length], [0, 0]);
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
    await assert.rejects(bench.client.connect('ann', 'token'), { code: 'PERMISSION_DENIED' });
  });
});

test('polls that the log does not answer yet begin when it does, with all topics', async () => {
  const bench = new Bench({ subscriptions: ['chat:c'], reconnectInterval: 10 }, { ...at('poll'), webSocket: undefined });
  let cursor: string | undefined;
  bench.answers.subscribeToRealtimeEventsV1 = () => ({ connectionId: 'c', subscriptions: [], denied: [], cursor });
  bench.answers.realtimePingV1 = () => new Promise(() => {});
  void bench.client.connect('ann', 'token');
  await bench.clock.pass(500);
  assert.equal(bench.client.getState(), 'reconnecting');
  cursor = 'user:ann=e0.3,chat:c=e1.4';
  await bench.clock.pass(1_000);
  assert.equal(bench.client.getState(), 'connected');
  assert.equal(bench.client.getConnectionInfo().transport, 'poll');
  assert.deepEqual(bench.posts.map(post => post.data.cursor), [undefined, undefined, cursor]);
});

test('polls end the replay with their first answer, which is not held: what comes next is live', async () => {
  const bench = new Bench({}, { ...at('poll'), webSocket: undefined });
  bench.answers.subscribeToRealtimeEventsV1 = () => ({ connectionId: 'c', subscriptions: ['user:ann'], denied: [], cursor: 'user:ann=e0.3' });
  const answer = (offset: number) => {
    const { event: inner } = event('user:ann', offset) as any;
    return { events: [{ ...inner, topic: 'user:ann', offset }], cursor: `user:ann=e0.${offset}` };
  };
  const answers = [answer(4), answer(5)];
  bench.answers.realtimePingV1 = () => answers.shift() ?? new Promise(() => {});
  const heard: unknown[] = [];
  bench.client.on('event', ({ offset, replay }) => heard.push([offset, replay ?? false]));
  void bench.client.connect('ann', 'token');
  await bench.clock.pass(100);
  assert.deepEqual(heard, [[4, true], [5, false]]);
  assert.deepEqual(bench.posts.slice(1).map(post => post.data.holdMs), [0, 25_000, 25_000]);
  bench.client.disconnect();
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
