import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bench, event, settle } from '../support/fakes.js';

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
