import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RealtimeWebSocketClient } from '../../src/index.js';
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

test('a number that is none is refused before anything waits for it', () => {
  for (const name of ['reconnectInterval', 'maxReconnectAttempts', 'pingInterval', 'callTimeout']) {
    assert.throws(() => new Bench({ [name]: NaN }), { code: 'INVALID_ARGUMENT', message: new RegExp(`^${name} .* NaN`) });
    assert.throws(() => new Bench({ [name]: -1 }), { code: 'INVALID_ARGUMENT' });
  }
});

test('an address that is none is refused at once', () => {
  for (const url of ['rubbish', 'ftp://x', '/here', 'localhost:8080', '']) {
    assert.throws(() => new RealtimeWebSocketClient({ url }), { code: 'INVALID_ARGUMENT', message: `url cannot be ${url}` });
  }
  for (const url of ['https://rt.test', 'http://localhost:8080/', undefined]) new RealtimeWebSocketClient({ url, deviceId: 'd' });
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
