import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bench, event, settle } from '../support/fakes.js';

const acks = (bench: Bench) => bench.sockets.map(socket => socket.all('ack').flatMap(frame => frame.ack));
const live = (offset: number) => ({ live: { topic: 'user:ann', epoch: 'e', offset } });

describe('what is acknowledged', () => {
  test('on a connection that is lost is acknowledged on the next one, when its topic has begun there', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    socket.say(live(0), event('user:ann', 1));
    await bench.clock.pass(50);
    // The first may have been lost on the way, the second was not sent.
    socket.say(event('user:ann', 2));
    socket.end(1006);
    await bench.clock.pass(3_000);
    const next = await bench.accept();
    assert.deepEqual(acks(bench)[1], []);
    next.say(live(2));
    await bench.clock.pass(50);
    assert.deepEqual(acks(bench), [
      [{ topic: 'user:ann', epoch: 'e', offset: 1 }], [{ topic: 'user:ann', epoch: 'e', offset: 2 }],
    ]);
  });

  test('of one user goes out before another one is connected, and never as that one', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    socket.say(live(0), event('user:ann', 1), event('chat:c', 7, { epoch: 'e' }));
    bench.client.on('notification', one => one.offset === 8 && void bench.client.connect('bob', 'of bob'));
    socket.say(event('chat:c', 8));
    await bench.accept();
    await bench.clock.pass(1_000);
    assert.deepEqual(acks(bench), [
      [{ topic: 'user:ann', epoch: 'e', offset: 1 }, { topic: 'chat:c', epoch: 'e', offset: 7 }], [],
    ]);
  });

  test('is kept under the name of whose it is', async () => {
    const kept = new Map<string, string>();
    const positions = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
    const bench = new Bench({ positions });
    const socket = await bench.connected();
    bench.client.on('notification', () => void bench.client.connect('bob', 'of bob'));
    socket.say(event('user:ann', 8, { epoch: 'e' }));
    await bench.accept();
    await bench.clock.pass(1_000);
    assert.deepEqual([...kept], [['avalo.positions.ann', '{"user:ann":{"epoch":"e","offset":8}}']]);
  });

  test('in a listener that disconnects is acknowledged by the next connection', async () => {
    const bench = new Bench();
    const socket = await bench.connected();
    bench.client.on('notification', () => bench.client.disconnect());
    socket.say(live(0), event('user:ann', 1));
    await settle();
    void bench.client.connect();
    const next = await bench.accept();
    next.say(live(1));
    await bench.clock.pass(50);
    assert.deepEqual(acks(bench), [[], [{ topic: 'user:ann', epoch: 'e', offset: 1 }]]);
  });
});
