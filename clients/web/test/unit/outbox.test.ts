import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RealtimeError } from '../../src/errors.js';
import { MemoryStore, Outbox, type NewEntry, type OutboxOptions, type OutboxStore } from '../../src/outbox/index.js';
import { LayeredStore } from '../../src/outbox/layered.js';
import { Pace } from '../../src/outbox/pace.js';
import { outcome, paceMax, retryDelay } from '../../src/outbox/policy.js';
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

  test('tells nothing as the user who is connected while the store is asked', async () => {
    let go = () => {};
    class Slow extends MemoryStore {
      override async first(user: string) {
        const entry = await super.first(user);
        if (entry) await new Promise<void>(resolve => (go = resolve));
        return entry;
      }
    }
    const { bench, outbox, heard } = await make({ store: new Slow() });
    bench.answers.publishRealtimeEvent = () => ({ success: true });
    await outbox.publish(message('of ann'));
    const first = await bench.accept();
    await settle();
    void bench.client.connect('bob', 'of bob');
    const second = await bench.accept();
    go();
    await settle();
    assert.deepEqual([heard, bench.posts, first.all('call'), second.all('call')], [[], [], [], []]);
    void bench.client.connect('ann', 'token');
    const third = await bench.accept();
    go();
    await answer(third);
    assert.deepEqual(heard, ['sent of ann']);
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

  test('drops what is switched off for the user, and goes on with what came after it', async () => {
    const { bench, outbox, heard } = await make();
    await outbox.updatePresence({ status: 'busy' });
    await outbox.publish(message('a'));
    await outbox.publish(message('b'));
    await answer(await bench.accept(), call =>
      call.call === 'updatePresenceV1' ? { error: { status: 'FAILED_PRECONDITION' } } : { result: {} });
    assert.deepEqual(heard, ['failed FAILED_PRECONDITION', 'sent a', 'sent b']);
  });

  for (const status of ['RESOURCE_EXHAUSTED', 'UNAVAILABLE']) {
    test(`waits as long as the server says with ${status}, also when there is more to tell or another connection`, async () => {
      const { bench, outbox, heard } = await make();
      try {
        await outbox.publish(message('a'));
        const socket = await bench.accept();
        await answer(socket, () => ({ error: { status, details: { retryAfterMs: 1_000_000 } } }));
        await outbox.publish(message('b'));
        await settle();
        assert.deepEqual([heard, socket.all('call').length], [[], 1]);
        socket.end(1006);
        await bench.clock.pass(3_000);
        const next = await bench.accept();
        await answer(next);
        assert.deepEqual([heard, next.all('call').length], [[], 0]);
        // Somebody else was not told to wait.
        void bench.client.connect('bob', 'of bob');
        await outbox.publish(message('of bob'));
        await answer(await bench.accept());
        assert.deepEqual(heard, ['sent of bob']);
      } finally {
        outbox.close();
      }
    });
  }

  test('goes on when the server\'s time is over, on whichever connection', async () => {
    const { bench, outbox, heard } = await make();
    await outbox.publish(message('a'));
    const socket = await bench.accept();
    await answer(socket, () => ({ error: { status: 'RESOURCE_EXHAUSTED', details: { retryAfterMs: 100 } } }));
    socket.end(1006);
    await bench.clock.pass(3_000);
    const next = await bench.accept();
    for (const end = Date.now() + 30_000; !next.all('call').length && Date.now() < end;) {
      await new Promise(resolve => setTimeout(resolve, 10));
    }
    await answer(next);
    assert.deepEqual(heard, ['sent a']);
  });

  test('names a reading once, however often it is told', async () => {
    const { bench, outbox } = await make();
    await outbox.markChatAsRead('c');
    await outbox.sendReadReceipt('c', 'm');
    const names = (await outbox.pending()).map(one => one.data.requestId);
    assert(names.every(name => /^req_/.test(name)) && names[0] !== names[1], String(names));
    const socket = await bench.accept();
    await answer(socket);
    assert.deepEqual(socket.all('call').map(call => call.data.requestId), names);
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
    await assert.rejects(outbox.add('f', { big: 1n }), { name: 'RealtimeError', code: 'INVALID_ARGUMENT' });
  });

  test('keeps data as they were when they were added', async () => {
    const { outbox } = await make();
    const data = { text: 'before' };
    const added = outbox.add('f', data);
    data.text = 'after';
    await added;
    assert.deepEqual((await outbox.pending())[0]!.data, { text: 'before' });
  });

  test('drains under a lock of its user', async () => {
    const names: string[] = [];
    const { bench, outbox, heard } = await make({ locks: { request: (name, body) => (names.push(name), body()) } });
    await outbox.publish(message('a'));
    await answer(await bench.accept());
    assert.deepEqual(heard, ['sent a']);
    assert.equal(names[0], 'avalo-outbox:ann');
  });

  test('does without a lock where it is denied', async () => {
    const denied = { request: () => Promise.reject(new DOMException('denied in this context', 'SecurityError')) };
    const { bench, outbox, heard } = await make({ locks: denied });
    outbox.on('volatile', () => heard.push('volatile'));
    await outbox.publish(message('a'));
    await answer(await bench.accept());
    assert.deepEqual(heard, ['sent a']);
  });

  test('tells what a tab without a connection has added', async () => {
    const store = new MemoryStore();
    const { bench, outbox: connected, heard } = await make({ store });
    const { outbox: away } = await make({ store });
    const socket = await bench.accept();
    await away.publish(message('a'));
    for (const end = Date.now() + 30_000; !socket.all('call').length && Date.now() < end;) {
      await new Promise(resolve => setTimeout(resolve, 5));
    }
    await answer(socket);
    assert.deepEqual(heard, ['sent a']);
    for (const one of [connected, away]) one.close();
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

  test('keeps the order of what is added at once, also when the first is refused', async () => {
    class Slow extends Broken {
      override async add(one: NewEntry, max: number): Promise<boolean> {
        await settle();
        this.isFull = one.data === 'first';
        return super.add(one, max);
      }
    }
    const store = new LayeredStore(new Slow(), () => {});
    await Promise.all(['first', 'second'].map(data => store.add(entry({ data }), 10)));
    assert.deepEqual((await store.all('ann')).map(one => one.data), ['first', 'second']);
  });

  test('says once that memory stands in, until the durable one takes something again', async () => {
    class Closed extends Broken {
      override async first(user: string) {
        if (this.isFull) throw new Error('SecurityError');
        return super.first(user);
      }
    }
    const durable = new Closed();
    let told = 0;
    const store = new LayeredStore(durable, () => told++);
    for (const isFull of [true, false, true]) {
      durable.isFull = isFull;
      await store.add(entry(), 10);
      await store.first('ann');
      await store.remove((await store.first('ann'))!);
    }
    assert.equal(told, 2);
    const none = new LayeredStore(undefined, () => told++);
    for (let i = 0; i < 2; i++) await none.add(entry(), 10);
    assert.equal(told, 3);
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
  assert.equal(of('FAILED_PRECONDITION'), 'drop');
});

test('the next try comes after a doubling delay, and not before the server said', () => {
  const error = new RealtimeError('UNAVAILABLE', '');
  assert.equal(retryDelay(1, error, () => 1), 1000);
  assert.equal(retryDelay(3, error, () => 0), 2000);
  assert.equal(retryDelay(30, error, () => 1), 30_000);
  assert.equal(retryDelay(1, new RealtimeError('UNAVAILABLE', '', { retryAfterMs: 9000 }), () => 0), 9000);
  // More than an hour is a mistake.
  assert.equal(retryDelay(1, new RealtimeError('UNAVAILABLE', '', { retryAfterMs: 1e12 }), () => 0), 3_600_000);
  assert.equal(retryDelay(9, new RealtimeError('RESOURCE_EXHAUSTED', '', { retryAfterMs: 40 }), () => 1), 40);
  assert.equal(retryDelay(1, new RealtimeError('RESOURCE_EXHAUSTED', ''), () => 1), 1000);
});

test('no second has more than twice the entries of a window, and each window is used', () => {
  const pace = new Pace();
  const told: number[] = [];
  for (let now = 500; told.length < 400;) {
    const ms = pace.take(now);
    if (ms === 0) told.push(now);
    now += Math.max(ms, 0.5);
  }
  for (const at of told) assert(told.filter(other => other >= at && other < at + 1_000).length <= 2 * paceMax);
  assert(told[399]! - told[0]! < 10_000);
});
