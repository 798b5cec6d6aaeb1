import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createElement, StrictMode } from 'react';
import { act, create } from 'react-test-renderer';
import { RealtimeProvider, useConnectionInfo, useTopic } from '../../src/react/index.js';
import { Bench, settle } from '../support/fakes.js';

(globalThis as any).IS_REACT_ACT_ENVIRONMENT = true;

function Chat({ topics }: { topics: string | string[] }) {
  return createElement('p', null, JSON.stringify(useTopic(topics)));
}

function Connection() {
  const { state, reason, error } = useConnectionInfo();
  return createElement('b', null, JSON.stringify([state, reason, error?.code ?? null]));
}

async function mount(...first: (string | string[])[]) {
  const bench = new Bench({ maxReconnectAttempts: 1 });
  const page = (chats: (string | string[])[], token = 'token') => createElement(StrictMode, null, createElement(
    RealtimeProvider, { client: bench.client, userId: 'ann', token },
    createElement(Connection), ...chats.map((topics, i) => createElement(Chat, { key: i, topics }))));
  let root: any;
  await act(async () => {
    root = create(page(first));
    await settle();
  });
  const show = (chats: (string | string[])[], token?: string) => act(async () => {
    root.update(page(chats, token));
    await settle();
    // What nobody has taken again is given up a moment later.
    await new Promise(resolve => setTimeout(resolve, 5));
  });
  const shown = (type: string) => root.root.findAllByType(type).map((one: any) => JSON.parse(one.children[0]));
  return { bench, show, shown };
}

const calls = (bench: Bench) => bench.socket.all('call').map(({ call, data }) => [call, data.subscriptions]);

/** Answers the call that the connection was sent last. */
const answer = (bench: Bench, result: object) => act(async () => {
  const all = bench.socket.all('call');
  bench.socket.say({ id: all[all.length - 1].id, ...result });
  await settle();
});

test('a topic is subscribed to once, and goes on until the last who uses it is gone', async () => {
  const { bench, show } = await mount('chat:c', ['chat:c']);
  assert.deepEqual(bench.socket.all('connect'), []);
  await act(async () => void (await bench.accept({ subscriptions: ['user:ann', 'chat:c'] })));
  assert.deepEqual(bench.socket.all('connect')[0].connect.subscriptions, ['user:ann', 'chat:c']);
  await show(['chat:c']);
  assert.deepEqual(calls(bench), []);
  await show([]);
  assert.deepEqual(calls(bench), [['unsubscribe', ['chat:c']]]);
  await show([['chat:d', 'chat:e']]);
  assert.deepEqual(calls(bench)[1], ['subscribeToRealtimeEventsV1', ['chat:d', 'chat:e']]);
  // Another list takes and gives what is different.
  await answer(bench, { result: { subscriptions: ['chat:d', 'chat:e'], denied: [] } });
  await show([['chat:e']]);
  assert.deepEqual(calls(bench).slice(2), [['unsubscribe', ['chat:d']]]);
});

test('what is not allowed is answered, until it is', async () => {
  const { bench, show, shown } = await mount('chat:c');
  await act(async () => void (await bench.accept({ denied: [{ topic: 'chat:c', code: 'PERMISSION_DENIED' }] })));
  assert.deepEqual(shown('p'), [[{ topic: 'chat:c', code: 'PERMISSION_DENIED' }]]);
  // Alone in its call it is an error.
  await show(['chat:c', 'chat:d']);
  await answer(bench, { error: { status: 'PERMISSION_DENIED', message: 'no' } });
  assert.deepEqual(shown('p')[1], [{ topic: 'chat:d', code: 'PERMISSION_DENIED' }]);
  await act(async () => {
    void bench.client.subscribe(['chat:c', 'chat:d']);
    await settle();
  });
  await answer(bench, { result: { subscriptions: ['chat:c', 'chat:d'], denied: [] } });
  assert.deepEqual(shown('p'), [[], []]);
  await act(async () => {
    bench.socket.say({ unsubscribed: { topic: 'chat:d', code: 'PERMISSION_DENIED' } });
    await settle();
  });
  assert.deepEqual(shown('p'), [[], [{ topic: 'chat:d', code: 'PERMISSION_DENIED' }]]);
});

test('what could not be had just now is asked for again, later each time, for as long as it is needed', async t => {
  const { bench, show, shown } = await mount('chat:c');
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const pass = (ms: number) => act(async () => {
    t.mock.timers.tick(ms);
    await settle();
  });
  await act(async () => void (await bench.accept({ denied: [{ topic: 'chat:c', code: 'UNAVAILABLE' }] })));
  assert.deepEqual(shown('p'), [[{ topic: 'chat:c', code: 'UNAVAILABLE' }]]);
  assert.deepEqual(calls(bench), []);
  await pass(4_000);
  assert.deepEqual(calls(bench), [['subscribeToRealtimeEventsV1', ['chat:c']]]);
  await answer(bench, { error: { status: 'UNAVAILABLE', message: 'no', details: { retryAfterMs: 60_000 } } });
  await pass(59_000);
  assert.equal(calls(bench).length, 1);
  await pass(1_000 + 4_000);
  assert.equal(calls(bench).length, 2);
  await answer(bench, { error: { status: 'DEADLINE_EXCEEDED', message: 'no' } });
  await pass(16_000);
  assert.equal(calls(bench).length, 3);
  await answer(bench, { result: { subscriptions: ['chat:c'], denied: [] } });
  assert.deepEqual(shown('p'), [[]]);
  await pass(60_000);
  assert.equal(calls(bench).length, 3);
  // What nobody needs any more is not asked for.
  await act(async () => {
    bench.socket.say({ unsubscribed: { topic: 'chat:c', code: 'UNAVAILABLE' } });
    await settle();
  });
  const isGone = show([]);
  for (let i = 0; i < 3; i++) {
    await settle();
    t.mock.timers.tick(5);
  }
  await isGone;
  await pass(60_000);
  assert.deepEqual(calls(bench).slice(3), [['unsubscribe', ['chat:c']]]);
});

test('what is not allowed is not asked for again', async t => {
  const { bench } = await mount('chat:c');
  t.mock.timers.enable({ apis: ['setTimeout'] });
  await act(async () => void (await bench.accept({ denied: [{ topic: 'chat:c', code: 'PERMISSION_DENIED' }] })));
  t.mock.timers.tick(3_600_000);
  await settle();
  assert.deepEqual(calls(bench), []);
});

test('a connection that the provider does not get shows why, until the next attempt', async () => {
  const { bench, show, shown } = await mount();
  assert.deepEqual(shown('b'), [['connecting', null, null]]);
  await act(async () => {
    bench.socket.end(4500);
    await settle();
  });
  assert.deepEqual(shown('b'), [['disconnected', 'unauthenticated', 'UNAUTHENTICATED']]);
  await show([], 'another');
  assert.deepEqual(shown('b'), [['connecting', null, null]]);
  await act(async () => void (await bench.accept()));
  assert.deepEqual(shown('b'), [['connected', null, null]]);
});
