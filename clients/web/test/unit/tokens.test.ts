import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bench, FakeStream, ready, settle, until } from '../support/fakes.js';

const presented = (bench: Bench) => bench.sockets.map(socket => socket.all('connect')[0]?.connect.token);

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

describe('a token of somebody else', () => {
  test('ends the connection before it is one, says whose it is, and is made good by another', async () => {
    const bench = new Bench();
    const connected = bench.client.connect('bob', 'of ann');
    const socket = await bench.accept({ userId: 'ann' });
    await assert.rejects(connected, { code: 'UNAUTHENTICATED', message: 'disconnected: the token is of ann' });
    assert.equal(socket.isClosed, true);
    assert.deepEqual(bench.states, ['connecting', 'disconnected']);
    assert.equal(bench.client.getConnectionInfo().reason, 'unauthenticated');
    bench.client.setToken('of bob');
    await bench.accept();
    assert.equal(bench.client.getState(), 'connected');
    // What was said of it is not said of what comes then.
    bench.socket.end(1006);
    const again = bench.client.connect();
    bench.client.disconnect();
    await assert.rejects(again, { code: 'CANCELLED', message: 'disconnected: client' });
  });

  test('from a function is asked for anew, once', async () => {
    const bench = new Bench();
    const forced: boolean[] = [];
    const connected = bench.client.connect('bob', ({ forceRefresh }) => {
      forced.push(forceRefresh);
      return 'of somebody';
    });
    await bench.accept({ userId: 'ann' });
    await bench.accept({ userId: 'ann' });
    await assert.rejects(connected, { code: 'UNAUTHENTICATED' });
    assert.deepEqual(forced, [false, true]);
  });

  test('that is granted nothing, as only the inbox is asked for, is asked for anew as well', async () => {
    const bench = new Bench();
    const forced: boolean[] = [];
    const connected = bench.client.connect('bob', ({ forceRefresh }) => {
      forced.push(forceRefresh);
      return 'of ann';
    });
    for (let i = 0; i < 2; i++) {
      await settle();
      bench.socket.open();
      assert.deepEqual(bench.socket.sent[0].connect.subscriptions, ['user:bob']);
      bench.socket.say({ error: { status: 'PERMISSION_DENIED', message: 'none is allowed: user:bob' } });
      bench.socket.end(4501);
    }
    await assert.rejects(connected, { code: 'UNAUTHENTICATED', message: 'disconnected: none is allowed: user:bob' });
    assert.deepEqual(forced, [false, true]);
    assert.equal(bench.client.getConnectionInfo().reason, 'unauthenticated');
    // What the server said of one connection is not said of the next.
    const again = bench.client.connect();
    await settle();
    bench.socket.open();
    bench.socket.end(4505);
    await assert.rejects(again, { message: 'disconnected: disconnected' });
  });

  test('acknowledges nothing over a connection that comes back', async () => {
    const bench = new Bench({ reconnectInterval: 10 });
    const socket = await bench.connected();
    socket.say({ live: { topic: 'user:ann', epoch: 'e', offset: 3 } });
    socket.end(1006);
    await bench.clock.pass(10);
    const next = await bench.accept({ userId: 'bob' });
    next.say({ live: { topic: 'user:ann', epoch: 'e', offset: 3 } });
    await bench.clock.pass(1_000);
    assert.deepEqual(next.all('ack'), []);
    assert.equal(bench.client.getConnectionInfo().reason, 'unauthenticated');
  });
});

describe('a token that is set', () => {
  test('while the connection opens with another one is used at once', async () => {
    const bench = new Bench();
    const connected = bench.client.connect('ann', 'old');
    await settle();
    bench.socket.open();
    const first = bench.socket;
    bench.client.setToken('fresh');
    first.end(4500);
    await bench.accept();
    await connected;
    assert.deepEqual(presented(bench), ['old', 'fresh']);
    assert.equal(first.isClosed, true);
  });

  test('while a function is asked for one is used instead of its answer', async () => {
    const bench = new Bench();
    let give: (token: string) => void = () => {};
    const connected = bench.client.connect('ann', () => new Promise<string>(resolve => (give = resolve)));
    await settle();
    bench.client.setToken('fresh');
    give('old');
    await bench.accept();
    await connected;
    assert.deepEqual(presented(bench), ['fresh']);
  });

  test('by a listener of ready goes over the new connection', async () => {
    const bench = new Bench();
    bench.client.on('ready', () => bench.client.setToken('fresh'));
    const socket = await bench.connected('old');
    assert.deepEqual(socket.all('connect').map(frame => frame.connect.token), ['old', 'fresh']);
    assert.equal(bench.sockets.length, 1);
  });

  test('as a function on a connection that has another one is asked when that ends', async () => {
    const bench = new Bench();
    const socket = await bench.connected('old');
    const asked: boolean[] = [];
    bench.client.setToken(({ forceRefresh }) => {
      asked.push(forceRefresh);
      return 'fresh';
    });
    await settle();
    socket.end(4004);
    await bench.accept();
    assert.deepEqual(asked, [false, true]);
    assert.equal(bench.client.getState(), 'connected');
  });

  test('for a stream, which takes none, has it made again', async () => {
    const bench = new Bench({}, { webSocket: undefined });
    const tokens: (string | null)[] = [];
    bench.answers.subscribeToRealtimeEventsV1 = (_, token) => {
      tokens.push(token);
      const stream = new FakeStream();
      stream.say(ready);
      return stream;
    };
    await bench.client.connect('ann', 'old');
    bench.client.setToken('fresh');
    await until(() => tokens.length === 2 && bench.client.getState() === 'connected');
    assert.deepEqual(tokens, ['old', 'fresh']);
  });
});
