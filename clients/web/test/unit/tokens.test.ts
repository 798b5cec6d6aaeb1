import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bench, FakeStream, ready, settle, until } from '../support/fakes.js';

const presented = (bench: Bench) => bench.sockets.map(socket => socket.all('connect')[0]?.connect.token);

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
