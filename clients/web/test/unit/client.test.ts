import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { surroundings } from '../../src/environment.js';
import { RealtimeError } from '../../src/errors.js';
import { Bench, event, settle } from '../support/fakes.js';

describe('connect', () => {
  test('opens one socket, says who it is in the first frame, and answers when it is ready', async () => {
    const bench = new Bench({ subscriptions: ['chat:c'] });
    const connected = bench.client.connect('ann', 'token');
    await bench.accept();
    await connected;
    assert.equal(bench.socket.url, 'wss://rt.test/ws');
    assert.deepEqual(bench.socket.protocols, ['avalo.v1']);
    assert.deepEqual(bench.socket.sent[0], {
      connect: { token: 'token', deviceId: 'dev', platform: 'web', subscriptions: ['user:ann', 'chat:c'], positions: {} },
    });
    assert.deepEqual(bench.states, ['connecting', 'connected']);
    const info = bench.client.getConnectionInfo();
    assert.equal(info.connectionId, 'conn_1');
    assert.equal(info.state, 'connected');
    assert.equal(info.reconnectAttempts, 0);
  });

  test('called many times makes one connection', async () => {
    const bench = new Bench();
    const all = [1, 2, 3].map(() => bench.client.connect('ann', 'token'));
    await bench.accept();
    await Promise.all([...all, bench.client.connect()]);
    assert.equal(bench.sockets.length, 1);
  });

  test('without arguments is as last time, also after disconnect', async () => {
    const bench = new Bench();
    await assert.rejects(bench.client.connect(), { code: 'FAILED_PRECONDITION' });
    await bench.connected();
    bench.client.disconnect();
    assert.equal(bench.client.getState(), 'disconnected');
    assert.equal(bench.clock.pending, 0);
    assert.equal(bench.watchers, 0);
    const again = bench.client.connect();
    await bench.accept();
    await again;
    assert.equal(bench.sockets.length, 2);
    assert.equal(bench.sockets[0]!.isClosed, true);
  });

  test('of another user leaves nothing of the first', async () => {
    const bench = new Bench();
    const first = await bench.connected();
    first.say(event('user:ann', 3, { epoch: 'e' }));
    void bench.client.connect('bob', 'other');
    const second = await bench.accept();
    assert.equal(first.isClosed, true);
    assert.deepEqual(second.sent[0].connect.positions, {});
    assert.deepEqual(second.sent[0].connect.subscriptions, ['user:bob']);
    assert.equal(second.sent[0].connect.token, 'other');
  });

  test('that is ended by disconnect rejects, and troubles nobody who does not wait', async () => {
    const bench = new Bench();
    const connected = bench.client.connect('ann', 'token');
    bench.client.disconnect();
    await assert.rejects(connected, { code: 'CANCELLED' });
  });

  test('ends with the reason when the server will not have it', async () => {
    const bench = new Bench();
    const connected = bench.client.connect('ann', 'token');
    await settle();
    bench.socket.end(4504);
    await assert.rejects(connected, { code: 'FAILED_PRECONDITION', message: 'disconnected: feature_disabled' });
    assert.equal(bench.client.getConnectionInfo().reason, 'feature_disabled');
  });
});

describe('a lost connection', () => {
  test('comes back where it was, after a while, and nothing is handed on twice', async () => {
    const bench = new Bench();
    const got: number[] = [];
    bench.client.on('notification', one => got.push(one.offset!));
    const socket = await bench.connected();
    socket.say(event('user:ann', 1, { epoch: 'e' }), event('user:ann', 2));
    socket.end(1006);
    assert.equal(bench.client.getState(), 'reconnecting');
    await bench.clock.pass(3_000);
    const next = await bench.accept();
    assert.deepEqual(next.sent[0].connect.positions, { 'user:ann': { epoch: 'e', offset: 2 } });
    next.say(event('user:ann', 2, { epoch: 'e' }), event('user:ann', 3));
    assert.deepEqual(got, [1, 2, 3]);
  });

  test('that ended in the past changes nothing of the present', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    socket.end(1006);
    await bench.clock.pass(3_000);
    await bench.accept();
    socket.say(event('user:ann', 99, { epoch: 'x' }));
    socket.end(4500);
    assert.equal(bench.client.getState(), 'connected');
  });

  test('that is half open is seen within interval and grace, without its close', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    socket.say({ pong: {} });
    await bench.clock.pass(35_000);
    assert.equal(socket.isClosed, true);
    assert.equal(bench.client.getState(), 'reconnecting');
  });

  test('stays while anything comes in', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    for (let i = 1; i < 30; i++) {
      socket.say(event('user:ann', i, { epoch: 'e' }));
      await bench.clock.pass(9_000);
    }
    assert.equal(bench.client.getState(), 'connected');
    assert(socket.all('ping').length > 5);
  });

  test('after a sleep is asked at once, and left soon', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    socket.say({ pong: {} });
    bench.clock.sleep(15_000);
    const before = socket.all('ping').length;
    bench.page('wake');
    assert.equal(socket.all('ping').length, before + 1);
    await bench.clock.pass(4_000);
    assert.equal(bench.client.getState(), 'reconnecting');
  });

  test('without a network waits for it, and is there at once', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    bench.page('offline');
    await bench.clock.pass(4_000);
    assert.equal(socket.isClosed, true);
    await bench.clock.pass(600_000);
    assert.equal(bench.sockets.length, 1);
    assert.equal(bench.client.getConnectionInfo().reconnectAttempts, 0);
    bench.page('online');
    await bench.accept();
    assert.equal(bench.client.getState(), 'connected');
  });

  test('is given up after so many failures, until the page is looked at', async () => {
    const bench = new Bench({ maxReconnectAttempts: 3, reconnectInterval: 1000 }, { fetch: undefined });
    const connected = bench.client.connect('ann', 'token');
    for (let i = 0; i < 4; i++) {
      await settle();
      bench.socket.end(1006);
      await bench.clock.pass(10_000);
    }
    await assert.rejects(connected, { code: 'UNAVAILABLE' });
    assert.equal(bench.client.getConnectionInfo().reason, 'max_attempts');
    assert.equal(bench.sockets.length, 4);
    bench.page('wake');
    await bench.accept();
    assert.equal(bench.client.getState(), 'connected');
  });

  test('stays away for an hour at most, whatever it is told', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    socket.say({ goaway: { retryAfterMs: Number.MAX_SAFE_INTEGER } });
    socket.end(4000);
    await bench.clock.pass(3_599_000);
    assert.equal(bench.sockets.length, 1);
    await bench.clock.pass(2_000);
    assert.equal(bench.sockets.length, 2);
  });

  test('obeys goaway', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    socket.say({ goaway: { retryAfterMs: 1500 } });
    socket.end(4000);
    await bench.clock.pass(1_499);
    assert.equal(bench.sockets.length, 1);
    await bench.clock.pass(1);
    assert.equal(bench.sockets.length, 2);
  });
});

describe('tokens', () => {
  test('are asked for before every attempt, and by force once when refused', async () => {
    const asked: boolean[] = [];
    const source = ({ forceRefresh }: { forceRefresh: boolean }) => {
      asked.push(forceRefresh);
      return `token${asked.length}`;
    };
    const bench = new Bench();
    const socket = await bench.connected(source);
    socket.end(4004);
    const next = await bench.accept();
    assert.equal(next.sent[0].connect.token, 'token2');
    assert.deepEqual(asked, [false, true]);
    next.end(4500);
    assert.equal(bench.client.getConnectionInfo().reason, 'unauthenticated');
    bench.client.setToken('fresh');
    const third = await bench.accept();
    assert.equal(third.sent[0].connect.token, 'fresh');
  });

  test('that end soon are replaced without ending the connection', async () => {
    let count = 0;
    const bench = new Bench();
    const socket = await bench.connected(() => `token${++count}`);
    socket.say({ expiring: { expiresAt: 1 } });
    await settle();
    assert.deepEqual(socket.all('connect').map(frame => frame.connect.token), ['token1', 'token2']);
    assert.equal(bench.client.getState(), 'connected');
  });

  test('of an earlier source that come later than those of the next one are not told', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    let give: (token: string) => void = () => {};
    bench.client.setToken(() => new Promise<string>(resolve => (give = resolve)));
    await settle();
    bench.client.setToken('newer');
    await settle();
    give('older');
    await settle();
    assert.deepEqual(socket.all('connect').map(frame => frame.connect.token), ['token', 'newer']);
  });

  test('that come too late belong to nobody', async () => {
    const bench = new Bench();
    let give: (token: string) => void = () => {};
    void bench.client.connect('ann', () => new Promise<string>(resolve => (give = resolve)));
    await settle();
    bench.client.disconnect();
    give('late');
    await settle();
    assert.equal(bench.sockets.length, 0);
  });

  test('of another user are not used for a call of this one', async () => {
    const bench = new Bench();
    bench.answers.getPresenceV1 = () => ({ presence: {} });
    await bench.connected(() => 'of ann');
    void bench.client.connect('bob', () => 'of bob');
    await bench.client.getPresence(['x']);
    assert.equal(bench.posts[0]!.token, 'of bob');
  });

  test('of one source that speaks for whoever is signed in are not kept for the next one', async () => {
    const bench = new Bench();
    bench.answers.getPresenceV1 = () => ({ presence: {} });
    let who = 'ann';
    let give: () => void = () => {};
    const source = () => {
      const token = `of ${who}`;
      return new Promise<string>(resolve => (give = () => resolve(token)));
    };
    void bench.client.connect('ann', source);
    await settle();
    const late = give;
    who = 'bob';
    void bench.client.connect('bob', source);
    await settle();
    late();
    await settle();
    const call = bench.client.getPresence(['x']);
    await settle();
    give();
    await call;
    assert.deepEqual(bench.posts.map(post => post.token), ['of bob']);
  });
});

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

describe('acknowledgements', () => {
  test('are sent together after a moment, and at once when the page goes or the client ends', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    socket.say(event('user:ann', 1, { epoch: 'e' }), event('user:ann', 2));
    assert.equal(socket.all('ack').length, 0);
    await bench.clock.pass(50);
    assert.deepEqual(socket.all('ack'), [{ ack: [{ topic: 'user:ann', epoch: 'e', offset: 2 }] }]);
    socket.say(event('user:ann', 3));
    bench.page('leave');
    assert.equal(socket.all('ack').length, 2);
    socket.say(event('user:ann', 4));
    bench.client.disconnect();
    assert.equal(socket.all('ack').length, 3);
  });

  test('keep positions where they are asked to, for the next page', async () => {
    const kept = new Map<string, string>();
    const positions = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
    const bench = new Bench({ positions });
    const socket = await bench.connected();
    socket.say(event('user:ann', 8, { epoch: 'e' }));
    await bench.clock.pass(50);
    const page = new Bench({ positions });
    const next = await page.connected();
    assert.deepEqual(next.sent[0].connect.positions, { 'user:ann': { epoch: 'e', offset: 8 } });
  });
});

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

describe('a poll that a server ends', () => {
  async function ended(code: number, status: string): Promise<Bench> {
    const bench = new Bench({ reconnectInterval: 10 }, { webSocket: undefined, session: { getItem: () => 'poll', setItem() {} } });
    bench.answers.subscribeToRealtimeEventsV1 = () => ({ connectionId: 'c', subscriptions: [], denied: [], cursor: '' });
    bench.answers.realtimePingV1 = () => ({ error: { status, message: 'ended', details: { code, reason: 'r' } } });
    bench.client.connect('ann', 'token').catch(() => {});
    await bench.clock.pass(1_000);
    return bench;
  }
  const polls = (bench: Bench) => bench.posts.filter(post => post.name === 'realtimePingV1').length;

  test('is over with 4505', async () => {
    const bench = await ended(4505, 'FAILED_PRECONDITION');
    assert.equal(bench.client.getState(), 'disconnected');
    assert.equal(polls(bench), 1);
  });

  test('comes back with 4005', async () => assert(polls(await ended(4005, 'ABORTED')) > 1));
});

describe('what a lesser transport cannot carry', () => {
  const subscribed = (bench: Bench) =>
    bench.posts.filter(post => post.name === 'subscribeToRealtimeEventsV1').map(post => post.data.subscriptions);

  async function polling(subscriptions: string[] = []): Promise<Bench> {
    const bench = new Bench({ subscriptions }, { webSocket: undefined, session: { getItem: () => 'poll', setItem() {} } });
    bench.answers.subscribeToRealtimeEventsV1 = () => ({ connectionId: 'c', subscriptions: [], denied: [], cursor: '' });
    bench.answers.realtimePingV1 = () => new Promise(() => {});
    void bench.client.connect('ann', 'token');
    await bench.clock.pass(100);
    assert.equal(bench.client.getState(), 'connected');
    return bench;
  }

  test('presence by polls, which would be answered at once for ever', async () => {
    const bench = await polling(['presence:bob']);
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
    const bench = await polling(Array.from({ length: 40 }, (_, i) => `chat:${i}`));
    void bench.client.subscribe('chat:more');
    await bench.clock.pass(1_000);
    assert.deepEqual(subscribed(bench).map(topics => topics.length), [32]);
  });
});

test('a number that is none is refused before anything waits for it', () => {
  for (const name of ['reconnectInterval', 'maxReconnectAttempts', 'pingInterval', 'callTimeout']) {
    assert.throws(() => new Bench({ [name]: NaN }), { code: 'INVALID_ARGUMENT', message: new RegExp(`^${name} .* not NaN`) });
    assert.throws(() => new Bench({ [name]: -1 }), { code: 'INVALID_ARGUMENT' });
  }
});

test('the clock is one that nobody sets, and no timer is too long for it', context => {
  const { now, setTimeout, clearTimeout } = surroundings();
  const before = now();
  context.mock.method(Date, 'now', () => 0);
  assert(now() >= before);
  const set = context.mock.method(globalThis, 'setTimeout');
  clearTimeout(setTimeout(() => {}, Infinity));
  assert.equal(set.mock.calls[0]!.arguments[1], 2 ** 31 - 1);
});

test('errors know whether trying again makes sense', () => {
  assert.equal(new RealtimeError('UNAVAILABLE', '').isTransient, true);
  assert.equal(new RealtimeError('PERMISSION_DENIED', '').isTransient, false);
});

test('a listener that throws is told of as an error', async () => {
  const bench = new Bench();
  const errors: string[] = [];
  bench.client.on('error', error => errors.push(error.message));
  bench.client.on('event', () => { throw new Error('of the page'); });
  const socket = await bench.connected();
  socket.say(event('user:ann', 1, { epoch: 'e' }));
  assert.deepEqual(errors, ['of the page']);
});

test('a listener for errors that throws harms nobody', async context => {
  const told = context.mock.method(console, 'error', () => {});
  const bench = new Bench();
  const heard: unknown[] = [];
  bench.client.on('error', () => { throw new Error('of the listener for errors'); });
  bench.client.on('error', error => heard.push(error.message));
  bench.client.on('notification', () => { throw new Error('of the page'); });
  bench.client.on('notification', one => heard.push(one.offset));
  const socket = await bench.connected();
  socket.say(event('user:ann', 1, { epoch: 'e' }));
  assert.deepEqual(heard, ['of the page', 1]);
  assert.equal(told.mock.callCount(), 1);
  await bench.clock.pass(50);
  assert.equal(socket.all('ack').length, 1);
});

describe('listeners of ready', () => {
  test('are told before the state changes, and may call over the socket', async () => {
    const bench = new Bench();
    bench.client.on('ready', () => {
      bench.states.push('ready');
      void bench.client.markChatAsRead('c').catch(() => {});
      void bench.client.subscribe('chat:c');
    });
    const socket = await bench.connected();
    assert.deepEqual(bench.states, ['connecting', 'ready', 'connected']);
    assert.deepEqual(socket.all('call').map(call => call.call), ['markChatAsReadV1', 'subscribeToRealtimeEventsV1']);
  });

  test('may end the connection, and nothing of it goes on', async () => {
    const bench = new Bench();
    bench.client.on('ready', () => bench.client.disconnect());
    void bench.client.connect('ann', 'token');
    await bench.accept();
    assert.equal(bench.client.getState(), 'disconnected');
    assert.equal(bench.clock.pending, 0);
  });

  test('may connect somebody else, who gets nothing of the first', async () => {
    const bench = new Bench();
    const users: string[] = [];
    bench.client.on('read_receipt', one => users.push(one.targetUserId));
    const stop = bench.client.on('ready', () => {
      stop();
      void bench.client.connect('bob', 'of bob');
    });
    void bench.client.connect('ann', 'token');
    await bench.accept({ receipts: [{ chatId: 'c', userId: 'eve', messageId: 'm', readAt: 1, version: 1 }] });
    assert.deepEqual(users, ['ann']);
    assert.equal((await bench.accept()).sent[0].connect.token, 'of bob');
    assert.equal(bench.client.getState(), 'connected');
  });
});
