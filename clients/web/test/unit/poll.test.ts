import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UnreadBook } from '../../src/react/unread.js';
import { type Bench, event, until } from '../support/fakes.js';
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

/** An event as an answer has it. */
const told = (topic: string, offset: number, inner: object = {}) => {
  const { event: own } = event(topic, offset, {}, inner) as any;
  return { ...own, topic, offset };
};

/** A client whose polls are given these answers one after the other, and are held then. */
function answering(answers: object[], subscribed: object = {}) {
  const bench = onPolls({ subscriptions: ['chat:c'], reconnectInterval: 10 });
  const heard: unknown[] = [];
  const polls: any[] = [];
  bench.answers.subscribeToRealtimeEventsV1 = ({ subscriptions }) => ({
    connectionId: 'c', subscriptions, denied: [], cursor: 'user:ann=e0.3,chat:c=e1.7', ...subscribed,
  });
  bench.answers.realtimePingV1 = data => {
    polls.push(data);
    return answers.shift() ?? new Promise(() => {});
  };
  bench.client.on('event', ({ topic, offset, replay }) => heard.push([topic, offset, replay ?? false]));
  bench.client.on('recovered', ({ topic, events }) => heard.push(['recovered', topic, events]));
  return { bench, heard, polls, holds: () => polls.map(data => data.holdMs) };
}

test('polls end the replay with the first answer that has nothing new, and are not held before', async () => {
  const { bench, heard, polls, holds } = answering([
    // A page at a time, and of one topic.
    { events: [told('user:ann', 4)], cursor: 'user:ann=e0.4,chat:c=e1.7' },
    { events: [told('chat:c', 8)], cursor: 'user:ann=e0.4,chat:c=e1.8' },
    { events: [], gaps: [{ topic: 'chat:c', from: 9, to: 9, reason: 'expired' }], cursor: 'user:ann=e0.4,chat:c=e1.9' },
    { events: [], unsubscribed: [{ topic: 'feed:f', code: 'NOT_FOUND' }], cursor: 'user:ann=e0.4,chat:c=e1.9' },
    { events: [told('chat:c', 10)], cursor: 'user:ann=e0.4,chat:c=e1.10' },
    { events: [], denied: [{ topic: 'chat:d', code: 'PERMISSION_DENIED' }], cursor: 'user:ann=e0.4,chat:c=e1.10' },
    { events: [told('user:ann', 5), told('chat:c', 11)], cursor: 'user:ann=e0.5,chat:c=e1.11' },
  ]);
  void bench.client.connect('ann', 'token');
  await until(() => polls.length === 8);
  assert.deepEqual(heard, [
    ['user:ann', 4, true], ['chat:c', 8, true], ['chat:c', 10, true], ['user:ann', 5, false], ['chat:c', 11, false],
  ]);
  assert.deepEqual(holds(), [0, 0, 0, 0, 0, 0, 25_000, 25_000]);
  bench.client.disconnect();
});

test('polls that begin anew end the replay anew, and tell how much was recovered when all of it was', async () => {
  const page = (...offsets: number[]) =>
    ({ events: offsets.map(offset => told('chat:c', offset)), cursor: `user:ann=e0.3,chat:c=e1.${offsets[offsets.length - 1]}` });
  const nothing = (offset: number) => ({ events: [], cursor: `user:ann=e0.3,chat:c=e1.${offset}` });
  const { bench, heard, polls, holds } = answering([
    nothing(7), { error: { status: 'ABORTED', message: 'reconnect', details: { code: 4005 } } },
    page(8, 9), page(10), nothing(10), page(11),
  ]);
  void bench.client.connect('ann', 'token');
  await until(() => polls.length === 2);
  await bench.clock.pass(100);
  await until(() => polls.length === 7);
  assert.deepEqual(heard, [
    ['chat:c', 8, true], ['chat:c', 9, true], ['chat:c', 10, true],
    ['recovered', 'user:ann', 0], ['recovered', 'chat:c', 3], ['chat:c', 11, false],
  ]);
  assert.deepEqual(holds(), [0, 25_000, 0, 0, 0, 25_000, 25_000]);
  bench.client.disconnect();
});

test('what polls replay is unread once, and what comes then as well', async () => {
  const message = (offset: number) =>
    told('chat:c', offset, { type: 'chat_message', payload: { chatId: 'c', messageId: `m${offset}` }, sourceUserId: 'bob' });
  const { bench, polls } = answering([
    { events: [told('user:ann', 4)], cursor: 'user:ann=e0.4,chat:c=e1.7' },
    { events: [message(8), message(9)], cursor: 'user:ann=e0.4,chat:c=e1.9' },
    { events: [], cursor: 'user:ann=e0.4,chat:c=e1.9' },
    { events: [message(10)], cursor: 'user:ann=e0.4,chat:c=e1.10' },
  ], { unread: { c: 2 } });
  const unread = new UnreadBook(bench.client);
  void bench.client.connect('ann', 'token');
  await until(() => polls.length === 5);
  assert.deepEqual(unread.of('ann'), { c: 3 });
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
