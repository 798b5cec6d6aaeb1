import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bench, type FakeSocket, settle } from '../support/fakes.js';
import { onPolls, polling } from '../support/transports.js';

const denial = (topic: string) => ({ topic, code: 'PERMISSION_DENIED' });

/** Answers the last call. */
function answer(socket: FakeSocket, subscriptions: string[], denied: object[] = []): void {
  socket.say({ id: socket.all('call').pop().id, result: { subscriptions, denied } });
}

const asked = (socket: FakeSocket) => socket.all('call').map(call => call.data.subscriptions);

describe('topics', () => {
  test('that are subscribed to in one turn go into one call', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    const a = bench.client.subscribe('chat:a');
    const b = bench.client.subscribe(['chat:b', 'chat:a']);
    await settle();
    const [call] = socket.all('call');
    assert.deepEqual(call.data.subscriptions, ['chat:a', 'chat:b']);
    socket.say({ id: call.id, result: { subscriptions: ['chat:a'], denied: [{ topic: 'chat:b', code: 'PERMISSION_DENIED' }] } });
    assert.deepEqual((await a).denied, [{ topic: 'chat:b', code: 'PERMISSION_DENIED' }]);
    await b;
    socket.end(1006);
    await bench.clock.pass(3_000);
    const next = await bench.accept();
    assert.deepEqual(next.sent[0].connect.subscriptions, ['user:ann', 'chat:a', 'chat:b']);
  });

  test('that are wanted while a connection is made are made good when it is ready', async () => {
    const bench = new Bench({ subscriptions: ['chat:old'] });
    void bench.client.connect('ann', 'token');
    await settle();
    void bench.client.subscribe('chat:new');
    void bench.client.unsubscribe('chat:old');
    const socket = await bench.accept();
    assert.deepEqual(socket.all('call').map(call => [call.call, call.data.subscriptions]), [
      ['unsubscribe', ['chat:old']], ['subscribeToRealtimeEventsV1', ['chat:new']],
    ]);
  });

  test('of presence are left when the last one who watches is gone', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    const seen: string[] = [];
    const first = bench.client.watchPresence('bob', one => seen.push(one.payload.status));
    const second = bench.client.watchPresence(['bob', 'eve']);
    await settle();
    const presence = { userId: 'bob', status: 'busy' };
    socket.say({ event: { eventId: 'p', type: 'presence_update', payload: presence, timestamp: 1 }, topic: 'presence:bob', version: 1 });
    first();
    first();
    await settle();
    assert.deepEqual(seen, ['busy']);
    assert.deepEqual(socket.all('call').map(call => call.call), ['subscribeToRealtimeEventsV1']);
    second();
    await settle();
    assert.deepEqual(socket.all('call')[1].data.subscriptions, ['presence:bob', 'presence:eve']);
  });
});

describe('a topic that is left', () => {
  test('is no failure when the connection ends in the same turn, and is told over none', async () => {
    const bench = new Bench({ subscriptions: ['chat:c'] });
    await bench.connected();
    const left = bench.client.unsubscribe('chat:c');
    bench.client.disconnect();
    await left;
    await bench.client.unsubscribe('chat:c');
    assert.deepEqual(bench.posts, []);
    void bench.client.connect();
    const next = await bench.accept();
    assert.deepEqual(next.sent[0].connect.subscriptions, ['user:ann']);
  });

  test('and cannot be says so', async () => {
    const bench = new Bench({ subscriptions: ['chat:c'] });
    const socket = await bench.connected();
    const left = bench.client.unsubscribe('chat:c');
    await settle();
    socket.say({ id: socket.all('call')[0].id, error: { status: 'UNAVAILABLE', message: 'no' } });
    await assert.rejects(left, { code: 'UNAVAILABLE' });
  });
});

test('a topic that is denied is told as such, alone or in company', async () => {
  const bench = new Bench();
  const socket = await bench.connected();
  const denied: string[] = [];
  bench.client.on('denied', ({ topic, code }) => denied.push(`${topic} ${code}`));
  const asked = async (topics: string[], answer: object) => {
    const result = bench.client.subscribe(topics);
    await settle();
    socket.say({ id: socket.all('call').slice(-1)[0].id, ...answer });
    return result;
  };
  const one = { topic: 'chat:no', code: 'PERMISSION_DENIED' };
  await asked(['chat:no', 'chat:c'], { result: { subscriptions: ['chat:c'], denied: [one] } });
  await assert.rejects(asked(['chat:no'], { error: { status: 'PERMISSION_DENIED', message: 'no' } }), { code: 'PERMISSION_DENIED' });
  await assert.rejects(asked(['chat:d'], { error: { status: 'UNAVAILABLE', message: 'later' } }), { code: 'UNAVAILABLE' });
  assert.deepEqual(denied, ['chat:no PERMISSION_DENIED', 'chat:no PERMISSION_DENIED']);
});

describe('a topic that is wanted again', () => {
  test('after it was denied is asked for again, with the token that was set before', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    const first = bench.client.subscribe('chat:c');
    await settle();
    answer(socket, [], [denial('chat:c')]);
    assert.deepEqual((await first).denied, [denial('chat:c')]);
    bench.client.setToken('with the chat');
    const second = bench.client.subscribe('chat:c');
    await settle();
    assert.deepEqual(socket.sent.slice(-2).map(frame => frame.connect?.token ?? frame.data.subscriptions), ['with the chat', ['chat:c']]);
    answer(socket, ['chat:c']);
    assert.deepEqual((await second).subscriptions, ['chat:c']);
  });

  test('after the server ended it is asked for again, also at once', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    void bench.client.subscribe('chat:c');
    await settle();
    answer(socket, ['chat:c']);
    bench.client.on('unsubscribed', ({ topic }) => void bench.client.subscribe(topic));
    socket.say({ unsubscribed: denial('chat:c') });
    await settle();
    assert.deepEqual(asked(socket), [['chat:c'], ['chat:c']]);
  });

  test('after the call for it failed is asked for again', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    for (const status of ['PERMISSION_DENIED', 'UNAVAILABLE']) {
      const call = bench.client.subscribe('chat:c');
      await settle();
      socket.say({ id: socket.all('call').pop().id, error: { status } });
      await assert.rejects(call, { code: status });
    }
    assert.deepEqual(asked(socket), [['chat:c'], ['chat:c']]);
  });

  test('after `ready` denied it is asked for again, and one that was granted is not', async () => {
    const bench = new Bench({ subscriptions: ['chat:a', 'chat:b'] });
    void bench.client.connect('ann', 'token');
    const socket = await bench.accept({ subscriptions: ['user:ann', 'chat:a'], denied: [denial('chat:b')] });
    assert.deepEqual(asked(socket), []);
    void bench.client.subscribe(['chat:a', 'chat:b']);
    await settle();
    assert.deepEqual(asked(socket), [['chat:b']]);
  });

  test('while it is being asked for is not asked for twice', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    void bench.client.subscribe('chat:c');
    await settle();
    void bench.client.subscribe('chat:c');
    await settle();
    assert.deepEqual(asked(socket), [['chat:c']]);
  });

  test('over polls is asked for by a connection that is made again', async () => {
    const bench = onPolls({ subscriptions: ['chat:c'] });
    let subscriptions = ['user:ann'];
    bench.answers.subscribeToRealtimeEventsV1 = () => ({ connectionId: 'c', subscriptions, denied: [], cursor: '' });
    await polling(bench);
    subscriptions = ['user:ann', 'chat:c'];
    for (let i = 0; i < 3; i++) {
      void bench.client.subscribe('chat:c');
      await bench.clock.pass(100);
    }
    assert.equal(bench.posted('subscribeToRealtimeEventsV1').length, 2);
  });
});

describe('who watches somebody', () => {
  const told = (status: string, version: number) => ({
    event: { eventId: `p${version}`, type: 'presence_update', payload: { userId: 'bob', status }, timestamp: 1 },
    topic: 'presence:bob', version,
  });

  test('whom others watch already is told how they are, as a snapshot, and not before the call returns', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    const end = bench.client.watchPresence('bob');
    await settle();
    socket.say(told('online', 1), told('busy', 2));
    const seen: unknown[] = [];
    const second = bench.client.watchPresence(['bob', 'eve'], one => seen.push([one.payload.status, one.snapshot]));
    assert.deepEqual(seen, []);
    await settle();
    assert.deepEqual(seen, [['busy', true]]);
    // One that ends at once hears nothing.
    bench.client.watchPresence('bob', () => seen.push('ended'))();
    await settle();
    end();
    second();
    await settle();
    // What is known is of the past now: the server tells.
    bench.client.watchPresence('bob', () => seen.push('of the past'));
    await settle();
    assert.deepEqual(seen, [['busy', true]]);
    assert.deepEqual(asked(socket), [['presence:bob'], ['presence:eve'], ['presence:bob', 'presence:eve'], ['presence:bob']]);
  });

  test('over polls, which carry no presence, ends it without another connection', async () => {
    const bench = await polling(onPolls({ subscriptions: ['chat:c'] }));
    const end = bench.client.watchPresence(['bob', 'eve']);
    await bench.clock.pass(100);
    end();
    await bench.clock.pass(100);
    assert.equal(bench.posted('subscribeToRealtimeEventsV1').length, 1);
    void bench.client.unsubscribe('chat:c');
    await bench.clock.pass(100);
    assert.equal(bench.posted('subscribeToRealtimeEventsV1').length, 2);
    bench.client.disconnect();
  });

  test('and throws at it is told of as an error', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    bench.client.watchPresence('bob');
    await settle();
    socket.say(told('busy', 2));
    const errors: string[] = [];
    bench.client.on('error', error => errors.push(error.message));
    bench.client.watchPresence('bob', () => { throw new Error('of the page'); });
    await settle();
    assert.deepEqual(errors, ['of the page']);
  });
});
