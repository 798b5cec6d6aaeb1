import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Bench, settle } from '../support/fakes.js';

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
