import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RealtimeError } from '../../src/index.js';
import { Bench, settle } from '../support/fakes.js';

describe('calls', () => {
  test('go over the socket and are answered by their id', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    const first = bench.client.markChatAsRead('c');
    const second = bench.client.getPresence(['bob']);
    const [a, b] = socket.all('call');
    assert.equal(a.call, 'markChatAsReadV1');
    socket.say({ id: b.id, result: { presence: { bob: { status: 'away' } } } });
    socket.say({ id: a.id, error: { status: 'PERMISSION_DENIED', message: 'no', details: { retryAfterMs: 5 } } });
    assert.equal((await second).bob!.status, 'away');
    await assert.rejects(first, { name: 'RealtimeError', code: 'PERMISSION_DENIED', retryAfterMs: 5 });
  });

  test('end with DEADLINE_EXCEEDED when nobody answers', async () => {
    const bench = new Bench({ callTimeout: 2_000 });
    const socket = await bench.connected();
    const call = bench.client.markChatAsRead('c');
    socket.say({ pong: {} });
    void bench.clock.pass(2_000);
    await assert.rejects(call, { code: 'DEADLINE_EXCEEDED' });
  });

  test('go over HTTP while there is no socket, and when it is lost before the answer', async () => {
    const bench = new Bench();
    bench.answers.sendReadReceiptV1 = () => ({ success: true, markedCount: 2 });
    const socket = await bench.connected();
    const call = bench.client.sendReadReceipt('c', 'm');
    socket.end(1006);
    assert.equal((await call).markedCount, 2);
    assert.equal((await bench.client.sendReadReceipt('c', 'm')).markedCount, 2);
    assert.deepEqual(bench.posts.map(post => post.token), ['token', 'token']);
  });

  test('of one user are never made as the next one', async () => {
    const bench = new Bench();
    bench.answers.markChatAsReadV1 = () => ({ markedCount: 1 });
    const socket = await bench.connected();
    const call = bench.client.markChatAsRead('c');
    assert.equal(socket.all('call').length, 1);
    void bench.client.connect('bob', 'of bob');
    await assert.rejects(call, { code: 'CANCELLED' });
    assert.deepEqual(bench.posts, []);
  });

  test('whose token was refused when another user is there are not made as that one', async () => {
    const bench = new Bench();
    void bench.client.connect('ann', () => 'of ann');
    await settle();
    bench.answers.markChatAsReadV1 = () => {
      void bench.client.connect('bob', () => 'of bob');
      return { error: { status: 'UNAUTHENTICATED', message: 'old' } };
    };
    await assert.rejects(bench.client.markChatAsRead('c'), { code: 'CANCELLED' });
    assert.deepEqual(bench.posts.map(post => post.token), ['of ann']);
  });

  test('over HTTP with a refused token get another one, once', async () => {
    const bench = new Bench();
    let count = 0;
    bench.answers.markChatAsReadV1 = (_, token) =>
      token === 'token2' ? { markedCount: 1 } : { error: { status: 'UNAUTHENTICATED', message: 'old' } };
    void bench.client.connect('ann', () => `token${++count}`);
    await settle();
    assert.equal((await bench.client.markChatAsRead('c')).markedCount, 1);
  });

  test('fail as UNAVAILABLE without a network, before connect as FAILED_PRECONDITION', async () => {
    const bench = new Bench();
    await assert.rejects(bench.client.markChatAsRead('c'), { code: 'FAILED_PRECONDITION' });
    bench.isOnline = false;
    void bench.client.connect('ann', 'token');
    await assert.rejects(bench.client.markChatAsRead('c'), { code: 'UNAVAILABLE' });
  });

  test('of what a proxy answers are worth another try: it is no word of the server', async () => {
    const bench = new Bench();
    void bench.client.connect('ann', 'token');
    for (const status of [200, 400, 401, 403, 404, 429, 502]) {
      bench.answers.markChatAsReadV1 = () => ({ raw: new Response('<html>', { status }) });
      await assert.rejects(bench.client.markChatAsRead('c'), { code: 'UNAVAILABLE' });
    }
  });

  test('publish names the event, so that trying again keeps it once', async () => {
    const bench = new Bench();
    bench.answers.publishRealtimeEvent = () => ({ success: true });
    const socket = await bench.connected();
    const call = bench.client.publish({ type: 'chat_message', topic: 'chat:c', payload: { text: 'hi' } });
    const id = socket.all('call')[0].data.eventId;
    assert.match(id, /^evt_/);
    socket.end(1006);
    await call;
    assert.equal(bench.posts[0]!.data.eventId, id);
  });

  test('publish that fails says by which name to try again', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    const draft = { type: 'chat_message' as const, topic: 'chat:c', payload: {} };
    const failed = (eventId?: string): Promise<RealtimeError> =>
      bench.client.publish({ ...draft, eventId }).then(() => assert.fail('kept'), error => error);
    const both = Promise.all([failed(), failed('mine')]);
    await settle();
    const sent = socket.all('call').map(call => call.data.eventId);
    await bench.clock.pass(11_000);
    const errors = await both;
    assert(errors.every(error => error.isTransient));
    assert.deepEqual(errors.map(error => error.eventId), sent);
    assert.equal(sent[1], 'mine');
  });

  test('publish says no name to try again by where it was refused, and does where nobody knows', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    const call = bench.client.publish({ type: 'chat_message', topic: 'chat:c', payload: {} });
    await settle();
    socket.say({ id: socket.all('call')[0].id, error: { status: 'PERMISSION_DENIED', message: 'no' } });
    await assert.rejects(call, (error: RealtimeError) => error.code === 'PERMISSION_DENIED' && error.eventId === undefined);
    // When somebody else connects, nobody hears what became of it.
    const lost = bench.client.publish({ type: 'chat_message', topic: 'chat:c', payload: {}, eventId: 'lost' });
    await settle();
    void bench.client.connect('bob', 'of bob');
    await assert.rejects(lost, { code: 'CANCELLED', eventId: 'lost' });
  });

  test('of typing go out at most every three seconds, and once for the end', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    const type = async (isTyping?: boolean) => {
      const told = bench.client.sendTyping('c', isTyping);
      for (const call of socket.all('call')) socket.say({ id: call.id, result: {} });
      await told;
    };
    for (let i = 0; i < 10; i++) {
      await type();
      await bench.clock.pass(400);
    }
    await type(false);
    await type(false);
    assert.deepEqual(socket.all('call').map(call => call.data.isTyping), [true, true, false]);
  });

  test('may come from the Firebase SDK, and keep its codes', async () => {
    const called: string[] = [];
    const bench = new Bench({
      callable: name => async data => {
        called.push(name);
        if (name === 'markChatAsReadV1') throw Object.assign(new Error('no'), { code: 'functions/permission-denied' });
        return { data: { connectionId: 'c1', wsUrl: 'wss://rt.test/ws?ticket=t', subscriptions: [], denied: [], echo: data } };
      },
    });
    void bench.client.connect('ann');
    await bench.accept();
    assert.equal(bench.socket.url, 'wss://rt.test/ws?ticket=t');
    assert.deepEqual(bench.socket.all('connect'), []);
    bench.socket.end(1006);
    await assert.rejects(bench.client.markChatAsRead('c'), { code: 'PERMISSION_DENIED' });
    assert.deepEqual(called.slice(0, 2), ['subscribeToRealtimeEventsV1', 'markChatAsReadV1']);
  });
});

describe('a call', () => {
  test('ends in time when the token never comes', async () => {
    const bench = new Bench({ callTimeout: 2_000 });
    void bench.client.connect('ann', () => new Promise<string>(() => {}));
    await settle();
    const call = bench.client.getPresence(['bob']);
    void bench.clock.pass(2_000);
    await assert.rejects(call, { name: 'RealtimeError', code: 'DEADLINE_EXCEEDED' });
  });

  test('fails as a call does when the token cannot be had', async () => {
    const bench = new Bench();
    void bench.client.connect('ann', () => {
      throw new TypeError('boom');
    });
    await settle();
    await assert.rejects(bench.client.getPresence(['bob']), { name: 'RealtimeError', code: 'UNAVAILABLE', message: 'boom' });
  });

  test('with data that are no JSON is refused at once, by whatever way it goes', async () => {
    const bench = new Bench();
    bench.answers.f = () => ({});
    void bench.client.connect('ann', 'token');
    await settle();
    await assert.rejects(bench.client.call('f', { big: 1n }), { name: 'RealtimeError', code: 'INVALID_ARGUMENT' });
    const socket = await bench.accept();
    const timers = bench.clock.pending;
    await assert.rejects(bench.client.call('f', { big: 1n }), { name: 'RealtimeError', code: 'INVALID_ARGUMENT' });
    assert.deepEqual([bench.posts, socket.all('call'), bench.clock.pending], [[], [], timers]);
  });

  test('of a user who is not the one connected is not made', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    await assert.rejects(bench.client.call('f', {}, undefined, 'bob'), { code: 'CANCELLED' });
    void bench.client.call('f', {}, undefined, 'ann');
    assert.equal(socket.all('call').length, 1);
  });

  test('of reading names itself, so that trying again counts the same', async () => {
    const bench = new Bench();
    bench.answers.markChatAsReadV1 = bench.answers.sendReadReceiptV1 = () => ({ markedCount: 2 });
    const socket = await bench.connected();
    const calls = [bench.client.markChatAsRead('c'), bench.client.sendReadReceipt('c', 'm')];
    const names = socket.all('call').map(call => call.data.requestId);
    assert(names.every(name => /^req_/.test(name)) && names[0] !== names[1], String(names));
    socket.end(1006);
    await Promise.all(calls);
    assert.deepEqual(bench.posts.map(post => post.data.requestId), names);
  });
});

test('typing that cannot be told is tried no more often than what can', async () => {
  const bench = new Bench();
  bench.answers.sendTypingIndicatorV1 = () => ({ error: { status: 'UNAVAILABLE', message: '' } });
  void bench.client.connect('ann', 'token');
  await settle();
  const press = () => bench.client.sendTyping('c').then(() => 'quiet', error => error.code);
  assert.deepEqual([await press(), await press(), await press()], ['UNAVAILABLE', 'quiet', 'quiet']);
  assert.equal(bench.posts.length, 1);
  bench.clock.now += 3_000;
  assert.equal(await press(), 'UNAVAILABLE');
});
