import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bench, event, live, settle, store } from '../support/fakes.js';

const acks = (bench: Bench) => bench.sockets.map(socket => socket.all('ack').flatMap(frame => frame.ack));

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
    const positions = store(new Map());
    const bench = new Bench({ positions });
    const socket = await bench.connected();
    socket.say(event('user:ann', 8, { epoch: 'e' }));
    await bench.clock.pass(50);
    const page = new Bench({ positions });
    const next = await page.connected();
    assert.deepEqual(next.sent[0].connect.positions, { 'user:ann': { epoch: 'e', offset: 8 } });
  });
});

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
    const bench = new Bench({ positions: store(kept) });
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
