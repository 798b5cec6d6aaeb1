import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RealtimeError } from '../../src/errors.js';
import { MemoryStore, Outbox, type NewEntry, type OutboxOptions, type OutboxStore } from '../../src/outbox/index.js';
import { LayeredStore } from '../../src/outbox/layered.js';
import { outcome, retryDelay } from '../../src/outbox/policy.js';
import { Bench, type FakeSocket, settle } from '../support/fakes.js';

const entry = (more: Partial<NewEntry> = {}): NewEntry => ({ user: 'ann', name: 'f', data: {}, expiresAt: Infinity, ...more });

async function make(options: OutboxOptions = {}) {
  const bench = new Bench();
  void bench.client.connect('ann', 'token');
  const outbox = new Outbox(bench.client, { store: new MemoryStore(), ...options });
  const heard: string[] = [];
  outbox.on('sent', ({ entry: { data } }) => heard.push(`sent ${data.eventId ?? data.chatId ?? data.status}`));
  outbox.on('failed', ({ error }) => heard.push(`failed ${error.code}`));
  outbox.on('expired', () => heard.push('expired'));
  return { bench, outbox, heard };
}

/** Answers the calls that are on the socket, one after the other as they come. */
async function answer(socket: FakeSocket, how: (call: any) => object = () => ({ result: { success: true } })) {
  for (let done = 0; ; done++) {
    await settle();
    const call = socket.all('call')[done];
    if (!call) return;
    socket.say({ id: call.id, ...how(call) });
  }
}

const message = (eventId: string) => ({ eventId, type: 'chat_message' as const, topic: 'chat:c', payload: { chatId: 'c', messageId: eventId } });

describe('an outbox', () => {
  test('keeps what is done without a connection, and tells it in order when there is one', async () => {
    const { bench, outbox, heard } = await make();
    await outbox.publish(message('a'));
    await outbox.publish(message('b'));
    await outbox.sendReadReceipt('c', 'b');
    assert.equal((await outbox.pending()).length, 3);
    assert.deepEqual(heard, []);
    await answer(await bench.accept());
    assert.deepEqual(heard, ['sent a', 'sent b', 'sent c']);
    assert.deepEqual(await outbox.pending(), []);
  });

  test('tells nothing as another user, and all of it when its own is back', async () => {
    const { bench, outbox, heard } = await make();
    bench.answers.publishRealtimeEvent = () => ({ success: true });
    await outbox.publish(message('a'));
    const first = await bench.accept();
    await settle();
    assert.equal(first.all('call').length, 1);
    void bench.client.connect('bob', 'of bob');
    const second = await bench.accept();
    await settle();
    assert.deepEqual([heard, bench.posts, second.all('call')], [[], [], []]);
    void bench.client.connect('ann', 'token');
    await answer(await bench.accept());
    assert.deepEqual(heard, ['sent a']);
    assert.deepEqual(bench.posts, []);
  });

  test('sends one at a time, so that none overtakes', async () => {
    const { bench, outbox } = await make();
    await outbox.publish(message('a'));
    await outbox.publish(message('b'));
    const socket = await bench.accept();
    await settle();
    assert.equal(socket.all('call').length, 1);
  });

  test('keeps what was not answered, and sends the same again on the next connection', async () => {
    const { bench, outbox, heard } = await make();
    await outbox.publish(message('a'));
    const socket = await bench.accept();
    await settle();
    const [sent] = socket.all('call');
    bench.isOnline = false;
    socket.end(1006);
    await settle();
    assert.equal((await outbox.pending()).length, 1);
    outbox.close();
    // The page is loaded anew.
    bench.page('online');
    const again = new Outbox(bench.client, { store: (outbox as any).store ?? (await copy(outbox)) });
    again.on('sent', ({ entry: { data } }) => heard.push(data.eventId));
    const next = await bench.accept();
    await answer(next);
    assert.deepEqual(next.all('call')[0].data, sent.data);
    assert.deepEqual(heard, ['a']);
  });

  test('drops what the server will not have, and goes on', async () => {
    const { bench, outbox, heard } = await make();
    await outbox.publish(message('a'));
    await outbox.publish(message('b'));
    await answer(await bench.accept(), call =>
      call.data.eventId === 'a' ? { error: { status: 'PERMISSION_DENIED' } } : { result: {} });
    assert.deepEqual(heard, ['failed PERMISSION_DENIED', 'sent b']);
  });

  test('waits with all when the server is away, and keeps the order', async () => {
    const { bench, outbox, heard } = await make();
    await outbox.publish(message('a'));
    await outbox.publish(message('b'));
    const socket = await bench.accept();
    await answer(socket, () => ({ error: { status: 'UNAVAILABLE', details: { retryAfterMs: 1 } } }));
    assert.deepEqual(heard, []);
    assert.deepEqual((await outbox.pending()).map(one => one.data.eventId), ['a', 'b']);
    outbox.close();
  });

  test('tells nothing whose time is over', async () => {
    const { bench, outbox, heard } = await make({ ttl: { chat_message: -1 } });
    await outbox.publish(message('a'));
    await outbox.sendReadReceipt('c', 'm');
    await answer(await bench.accept());
    assert.deepEqual(heard, ['expired', 'sent c']);
  });

  test('keeps the last of several states', async () => {
    const { outbox } = await make();
    await outbox.updatePresence({ status: 'busy' });
    await outbox.publish(message('a'));
    await outbox.updatePresence({ status: 'away' });
    assert.deepEqual((await outbox.pending()).map(one => one.data.status ?? one.data.eventId), ['a', 'away']);
  });

  test('is bounded, in number and in size', async () => {
    const { outbox } = await make({ max: 1 });
    await outbox.publish(message('a'));
    await assert.rejects(outbox.publish(message('b')), { code: 'RESOURCE_EXHAUSTED' });
    await assert.rejects(outbox.add('f', 'x'.repeat(200_000)), { code: 'INVALID_ARGUMENT' });
  });

  test('drains under a lock of its user', async () => {
    const names: string[] = [];
    const { bench, outbox, heard } = await make({ locks: { request: (name, body) => (names.push(name), body()) } });
    await outbox.publish(message('a'));
    await answer(await bench.accept());
    assert.deepEqual(heard, ['sent a']);
    assert.equal(names[0], 'avalo-outbox:ann');
  });

  test('is of nobody before connect', async () => {
    const outbox = new Outbox(new Bench().client, { store: new MemoryStore() });
    await assert.rejects(outbox.publish(message('a')), { code: 'FAILED_PRECONDITION' });
  });
});

/** A store with what another outbox has. */
async function copy(outbox: Outbox): Promise<OutboxStore> {
  const store = new MemoryStore();
  for (const { seq, ...one } of await outbox.pending()) await store.add(one, 10);
  return store;
}

describe('a layered store', () => {
  class Broken extends MemoryStore {
    isFull = false;
    override async add(one: NewEntry, max: number): Promise<boolean> {
      if (this.isFull) throw new Error('QuotaExceededError');
      return super.add(one, max);
    }
  }

  test('keeps in memory what the durable one does not take, and nothing overtakes', async () => {
    const durable = new Broken();
    const errors: unknown[] = [];
    const store = new LayeredStore(durable, error => errors.push(error));
    await store.add(entry({ data: 1 }), 10);
    durable.isFull = true;
    await store.add(entry({ data: 2 }), 10);
    durable.isFull = false;
    await store.add(entry({ data: 3 }), 10);
    assert.equal(errors.length, 1);
    const order = [];
    for (let one; (one = await store.first('ann'));) {
      order.push(one.data);
      await store.remove(one);
    }
    assert.deepEqual(order, [1, 2, 3]);
  });

  test('works without a durable one', async () => {
    const store = new LayeredStore(undefined, () => {});
    await store.add(entry(), 1);
    assert.equal((await store.all('ann')).length, 1);
    assert.equal((await store.all('bob')).length, 0);
  });
});

test('what becomes of an entry is decided by the error', () => {
  const of = (code: any) => outcome(new RealtimeError(code, ''));
  assert.deepEqual(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED'].map(of), ['retry', 'retry', 'retry']);
  assert.deepEqual(['CANCELLED', 'UNAUTHENTICATED'].map(of), ['wait', 'wait']);
  assert.deepEqual(['PERMISSION_DENIED', 'INVALID_ARGUMENT', 'ALREADY_EXISTS', 'NOT_FOUND'].map(of), ['drop', 'drop', 'drop', 'drop']);
});

test('the next try comes after a doubling delay, and not before the server said', () => {
  const error = new RealtimeError('UNAVAILABLE', '');
  assert.equal(retryDelay(1, error, () => 1), 1000);
  assert.equal(retryDelay(3, error, () => 0), 2000);
  assert.equal(retryDelay(30, error, () => 1), 30_000);
  assert.equal(retryDelay(1, new RealtimeError('UNAVAILABLE', '', { retryAfterMs: 9000 }), () => 0), 9000);
});
