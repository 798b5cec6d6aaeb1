import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Ack, Acks } from '../../src/delivery/acks.js';
import { Emitter } from '../../src/delivery/emitter.js';
import { Inbox } from '../../src/delivery/inbox.js';
import { Positions } from '../../src/delivery/positions.js';
import { Recent } from '../../src/delivery/recent.js';
import type { RealtimeEventMap } from '../../src/types/client.js';
import { event, live } from '../support/fakes.js';

function make(positions: string | null = null) {
  const got: any[] = [];
  const acked: Ack[][] = [];
  const thrown: unknown[] = [];
  const emitter = new Emitter<RealtimeEventMap>(error => thrown.push(error));
  const acks = new Acks({ setTimeout: () => 1, clearTimeout: () => {} }, batch => acked.push(batch) > 0);
  const inbox = new Inbox('ann', positions, emitter, acks);
  emitter.on('event', one => got.push(one.offset ?? one.eventId));
  for (const name of ['gap', 'recovered', 'unsubscribed'] as const) emitter.on(name, one => got.push({ [name]: one }));
  const take = (...frames: any[]) => frames.forEach(frame => inbox.take(frame));
  return { inbox, emitter, acks, acked, got, thrown, take };
}

const e1 = { epoch: 'e1' };

describe('events', () => {
  test('are handed on in order, and acknowledged together after the listeners ran', () => {
    const { take, got, acks, acked, inbox } = make();
    take(event('user:ann', 1, e1), event('user:ann', 2), event('chat:c', 7, e1));
    assert.deepEqual(got, [1, 2, 7]);
    acks.flush();
    assert.deepEqual(acked, [[{ topic: 'user:ann', epoch: 'e1', offset: 2 }, { topic: 'chat:c', epoch: 'e1', offset: 7 }]]);
    assert.deepEqual(inbox.positions.of(['user:ann']), { 'user:ann': { epoch: 'e1', offset: 2 } });
  });

  test('that come again are left, on this connection or the next', () => {
    const { take, got, inbox } = make();
    take(event('user:ann', 1, e1), event('user:ann', 1));
    inbox.began(['user:ann'], ['user:ann']);
    take(event('user:ann', 1, e1), event('user:ann', 2));
    assert.deepEqual(got, [1, 2]);
  });

  test('that lay in the log are marked, until the replay is over', () => {
    const { take, emitter, inbox } = make();
    const replayed: unknown[] = [];
    emitter.on('event', one => replayed.push(one.replay));
    inbox.began(['user:ann'], []);
    take(event('user:ann', 1, e1), live(1, 'e1'), event('user:ann', 2));
    assert.deepEqual(replayed, [true, undefined]);
  });

  test('of one id on two topics, or of two publishers on one, are two events', () => {
    const { take, got } = make();
    take(event('user:ann', 1, e1, { eventId: 'm' }), event('chat:c', 9, e1, { eventId: 'm' }));
    take(event('chat:c', 10, {}, { eventId: 'm' }));
    assert.deepEqual(got, [1, 9, 10]);
  });

  test('that a restored log has again are known by their places', () => {
    const { take, got } = make();
    take(event('user:ann', 1, e1), event('user:ann', 2));
    take({ gap: { topic: 'user:ann', reason: 'epoch', epoch: 'e2' } }, event('user:ann', 2, { epoch: 'e2' }));
    take(event('user:ann', 3, {}, { eventId: 'another' }));
    assert.deepEqual(got.filter(one => typeof one === 'number'), [1, 2, 3]);
  });

  test('that come ahead are handed on once, and move nothing', () => {
    const { take, got, inbox } = make();
    take(event('user:ann', 1, e1), event('user:ann', 9, { ahead: true }), event('user:ann', 2));
    assert.deepEqual(inbox.positions.of(['user:ann']), { 'user:ann': { epoch: 'e1', offset: 2 } });
    inbox.began(['user:ann'], ['user:ann']);
    take(event('user:ann', 3, e1), event('user:ann', 9));
    assert.deepEqual(got, [1, 9, 2, 3]);
    assert.deepEqual(inbox.positions.of(['user:ann']), { 'user:ann': { epoch: 'e1', offset: 9 } });
  });

  test('count as processed although a listener threw, and the others hear them', () => {
    const { take, emitter, thrown, acks, acked } = make();
    const heard: number[] = [];
    emitter.on('notification', () => {
      throw new Error('of the page');
    });
    emitter.on('notification', one => heard.push(one.offset!));
    take(event('user:ann', 1, e1));
    assert.deepEqual(heard, [1]);
    assert.equal(thrown.length, 1);
    acks.flush();
    assert.equal(acked.length, 1);
  });

  test('are those of the connected user when they name no other', () => {
    const { take, emitter } = make();
    let target = '';
    emitter.on('notification', one => (target = one.targetUserId));
    take(event('chat:c', 1, e1));
    assert.equal(target, 'ann');
  });
});

describe('what does not come', () => {
  test('within skipped is told before the event', () => {
    const { take, got } = make();
    take(event('user:ann', 1, e1), event('user:ann', 5, { skipped: { from: 2, to: 4, reason: 'expired' } }));
    assert.deepEqual(got, [1, { gap: { topic: 'user:ann', from: 2, to: 4, reason: 'expired' } }, 5]);
  });

  test('as a gap moves the position and is acknowledged', () => {
    const { take, acks, acked } = make();
    take(event('user:ann', 1, e1), { gap: { topic: 'user:ann', from: 2, to: 6, reason: 'evicted' } });
    acks.flush();
    assert.deepEqual(acked, [[{ topic: 'user:ann', epoch: 'e1', offset: 6 }]]);
  });

  test('because the log began anew makes offset 1 new again', () => {
    const { take, got, inbox } = make();
    take(event('user:ann', 5, e1), { gap: { topic: 'user:ann', reason: 'epoch', epoch: 'e2' } });
    take(event('user:ann', 1, { epoch: 'e2' }, { eventId: 'other' }));
    assert.equal(got.length, 3);
    assert.deepEqual(inbox.positions.of(['user:ann']), { 'user:ann': { epoch: 'e2', offset: 1 } });
  });
});

describe('a resumed topic', () => {
  test('is recovered when its replay is over without a gap', () => {
    const { take, got, inbox } = make();
    take(event('user:ann', 1, e1));
    inbox.began(['user:ann'], ['user:ann']);
    take(event('user:ann', 2, e1), event('user:ann', 3), live(3, 'e1'));
    assert.deepEqual(got, [1, 2, 3, { recovered: { topic: 'user:ann', events: 2 } }]);
  });

  test('is not when there was one', () => {
    const { take, got, inbox } = make();
    inbox.began(['user:ann'], ['user:ann']);
    take({ gap: { topic: 'user:ann', from: 1, to: 2, reason: 'expired' } }, live(2, 'e1'));
    assert.equal(got.length, 1);
  });

  test('begins anew once it was taken away', () => {
    const { take, inbox } = make();
    take(event('chat:c', 4, e1), { unsubscribed: { topic: 'chat:c', code: 'PERMISSION_DENIED' } });
    assert.deepEqual(inbox.positions.of(['chat:c']), {});
  });
});

describe('states', () => {
  const receipt = (version: number) => ({
    event: { eventId: `r${version}`, type: 'read_receipt', payload: { chatId: 'c', userId: 'bob', messageId: 'm', readAt: 1 }, timestamp: 1 },
    topic: 'chat:c', version,
  });
  const presence = (version: number, snapshot = false) => ({
    event: { eventId: `p${version}`, type: 'presence_update', payload: { userId: 'bob' }, timestamp: 1 },
    topic: 'presence:bob', version, snapshot,
  });

  test('of one chat and user: the higher version counts, wherever it comes from', () => {
    const { take, got, inbox } = make();
    take(receipt(5), receipt(4), receipt(5), receipt(6));
    inbox.receipts([{ chatId: 'c', userId: 'bob', messageId: 'm', readAt: 2, version: 6 }]);
    inbox.receipts([{ chatId: 'c', userId: 'bob', messageId: 'n', readAt: 3, version: 7 }]);
    assert.deepEqual(got, ['r5', 'r6', 'receipt_c_bob_7']);
  });

  test('of presence: a snapshot tells it again, an older one nothing', () => {
    const { take, got, inbox } = make();
    take(presence(3, true), presence(3), presence(2), presence(3, true), presence(4));
    assert.deepEqual(got, ['p3', 'p3', 'p4']);
    inbox.began([], []);
    take(presence(1, true));
    assert.equal(got.length, 4);
  });

  test('without a version, such as typing, are always told', () => {
    const { take, got } = make();
    const typing = { event: { eventId: 't', type: 'typing_indicator', payload: {}, timestamp: 1 }, topic: 'chat:c' };
    take(typing, typing);
    assert.equal(got.length, 2);
  });
});

describe('positions', () => {
  test('survive as text, and nonsense counts as nothing', () => {
    const { take, inbox } = make();
    take(event('user:ann', 3, e1));
    const kept = make(String(inbox.positions));
    kept.take(event('user:ann', 3, e1), event('user:ann', 4));
    assert.deepEqual(kept.got, [4]);
    for (const text of ['', '{', '[]', 'null', '{"a":1}', '{"__proto__":{"epoch":1}}']) {
      assert.equal(String(new Positions(text)), '{}', text);
    }
  });
});

test('only the newest are remembered', () => {
  const recent = new Recent<number>(2);
  recent.set('a', 1);
  recent.set('b', 2);
  recent.set('a', 3);
  recent.set('c', 4);
  assert.deepEqual([recent.get('a'), recent.get('b'), recent.get('c')], [3, undefined, 4]);
});
