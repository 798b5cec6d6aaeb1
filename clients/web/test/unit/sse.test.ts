import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bench, event, FakeStream, live, ready, settle, until } from '../support/fakes.js';
import { at, streaming } from '../support/transports.js';

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
    assert.deepEqual(data.positions, { 'user:ann': { epoch: 'e', offset: 3 } });
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
      streams[1]!.say(live(1));
    }
    assert.equal(streams.length, 2);
  });

  test('that is ended is acknowledged by a poll, which outlives the page', async () => {
    const { bench, receive, calls, streams } = await streaming();
    await receive(event('user:ann', 1), event('user:ann', 2));
    bench.client.disconnect();
    assert.equal(streams[0]!.isAborted, true);
    const [{ data, token, keepalive }] = calls('realtimePingV1') as [any];
    assert.deepEqual(data, { cursor: 'user:ann=e.2', deviceId: 'dev', holdMs: 1_000 });
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
    assert.deepEqual(calls('subscribeToRealtimeEventsV1')[1]!.data.positions, { 'user:ann': { epoch: 'e', offset: 1 } });
  });

  test('that is lost is acknowledged by the next one', async () => {
    const { bench, receive, calls, streams } = await streaming();
    await receive(event('user:ann', 1));
    await bench.clock.pass(50);
    streams[0]!.end();
    await until(() => bench.client.getState() === 'reconnecting');
    await bench.clock.pass(3_000);
    await until(() => streams.length === 2);
    assert.deepEqual(calls('subscribeToRealtimeEventsV1')[1]!.data.positions, { 'user:ann': { epoch: 'e', offset: 1 } });
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
    await receive({ gap: { topic: 'user:ann', reason: 'epoch', epoch: 'e9' } }, event('chat:c', 1, { epoch: 'e' }));
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
