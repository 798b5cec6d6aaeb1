import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Bench, event } from '../support/fakes.js';
import { onPolls, polling } from '../support/transports.js';

test('polls that the log does not answer yet begin when it does, with all topics', async () => {
  const bench = onPolls({ subscriptions: ['chat:c'], reconnectInterval: 10 });
  let cursor: string | undefined;
  bench.answers.subscribeToRealtimeEventsV1 = () => ({ connectionId: 'c', subscriptions: [], denied: [], cursor });
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
  const bench = onPolls();
  bench.answers.subscribeToRealtimeEventsV1 = () => ({ connectionId: 'c', subscriptions: ['user:ann'], denied: [], cursor: 'user:ann=e0.3' });
  const answer = (offset: number) => {
    const { event: inner } = event('user:ann', offset) as any;
    return { events: [{ ...inner, topic: 'user:ann', offset }], cursor: `user:ann=e0.${offset}` };
  };
  const answers = [answer(4), answer(5)];
  bench.answers.realtimePingV1 = () => answers.shift() ?? new Promise(() => {});
  const heard: unknown[] = [];
  bench.client.on('event', ({ offset, replay }) => heard.push([offset, replay ?? false]));
  await polling(bench);
  assert.deepEqual(heard, [[4, true], [5, false]]);
  assert.deepEqual(bench.posts.slice(1).map(post => post.data.holdMs), [0, 25_000, 25_000]);
  bench.client.disconnect();
});

describe('a poll that a server ends', () => {
  async function ended(code: number, status: string): Promise<Bench> {
    const bench = onPolls({ reconnectInterval: 10 });
    bench.answers.realtimePingV1 = () => ({ error: { status, message: 'ended', details: { code, reason: 'r' } } });
    bench.client.connect('ann', 'token').catch(() => {});
    await bench.clock.pass(1_000);
    return bench;
  }
  const polls = (bench: Bench) => bench.posted('realtimePingV1').length;

  test('is over with 4505', async () => {
    const bench = await ended(4505, 'FAILED_PRECONDITION');
    assert.equal(bench.client.getState(), 'disconnected');
    assert.equal(polls(bench), 1);
  });

  test('comes back with 4005', async () => assert(polls(await ended(4005, 'ABORTED')) > 1));
});

describe('what a lesser transport cannot carry', () => {
  const subscribed = (bench: Bench) => bench.posted('subscribeToRealtimeEventsV1').map(post => post.data.subscriptions);

  test('presence by polls, which would be answered at once for ever', async () => {
    const bench = await polling(onPolls({ subscriptions: ['presence:bob'] }));
    bench.client.watchPresence('eve');
    await bench.clock.pass(100);
    assert.deepEqual(subscribed(bench), [['user:ann']]);
    let isOver = false;
    void bench.client.subscribe('chat:c').then(() => (isOver = true));
    await bench.clock.pass(100);
    assert.deepEqual(subscribed(bench), [['user:ann'], ['user:ann', 'chat:c']]);
    assert.equal(isOver, true);
  });

  test('more topics than fit, which is no reason to connect again', async () => {
    const bench = await polling(onPolls({ subscriptions: Array.from({ length: 40 }, (_, i) => `chat:${i}`) }));
    void bench.client.subscribe('chat:more');
    await bench.clock.pass(1_000);
    assert.deepEqual(subscribed(bench).map(topics => topics.length), [32]);
  });
});
