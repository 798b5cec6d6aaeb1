import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createElement, StrictMode } from 'react';
import { act, create } from 'react-test-renderer';
import {
  RealtimeProvider, useConnectionState, usePresence, useRealtimeEvent, useTyping, useUnread,
} from '../../src/react/index.js';
import { Bench, event, live, ready, settle } from '../support/fakes.js';

(globalThis as any).IS_REACT_ACT_ENVIRONMENT = true;
const chat = { chatId: 'c', messageId: 'm1' };

function Page({ heard }: { heard: string[] }) {
  useRealtimeEvent('notification', one => heard.push(one.eventId));
  const presence = usePresence(['bob']);
  const typing = useTyping('c');
  const unread = useUnread();
  return createElement('p', null, JSON.stringify([useConnectionState(), presence.bob?.status ?? null, typing, unread]));
}

async function mount(bench: Bench, heard: string[] = []) {
  const page = () => createElement(StrictMode, null, createElement(
    // A new function each time, as it is written in applications.
    RealtimeProvider, { client: bench.client, userId: 'ann', token: () => 'token', children: createElement(Page, { heard }) }));
  let root: any;
  await act(async () => {
    root = create(page());
    await settle();
  });
  const shown = () => JSON.parse(root.toJSON().children[0]);
  return { root, shown, again: () => act(async () => root.update(page())) };
}

test('a page in strict mode has one connection, and keeps it over renderings', async () => {
  const bench = new Bench();
  const { shown, again, root } = await mount(bench);
  assert.equal(bench.sockets.length, 1);
  await act(async () => void (await bench.accept()));
  await again();
  assert.equal(shown()[0], 'connected');
  assert.equal(bench.sockets.length, 1);
  await act(async () => root.unmount());
  await new Promise(resolve => setTimeout(resolve, 5));
  assert.equal(bench.client.getState(), 'disconnected');
});

test('hooks show what comes, each event once', async () => {
  const bench = new Bench();
  const heard: string[] = [];
  const { shown } = await mount(bench, heard);
  assert.deepEqual(shown(), ['connecting', null, [], {}]);
  await act(async () => {
    const socket = await bench.accept({ ...ready.ready, unread: { c: 2 } });
    const say = (type: string, payload: object, more: object = {}, inner: object = {}) =>
      socket.say({ event: { eventId: `${type}1`, type, payload, timestamp: 1, sourceUserId: 'bob', ...inner }, topic: 'chat:c', ...more });
    socket.say(live(0), event('user:ann', 1));
    say('presence_update', { userId: 'bob', status: 'busy' }, { topic: 'presence:bob', version: 1 });
    say('typing_indicator', { chatId: 'c', userId: 'bob', isTyping: true, expiresInMs: 5000 });
    say('chat_message', chat, { offset: 1, epoch: 'e' }, { sourceUserId: 'eve' });
    await settle();
  });
  assert.deepEqual(heard, ['evt_user:ann_1']);
  assert.deepEqual(shown(), ['connected', 'busy', ['bob'], { c: 3 }]);
  await act(async () => {
    const receipt = { chatId: 'c', userId: 'ann', messageId: 'm1', readAt: 1 };
    bench.socket.say({ event: { eventId: 'r', type: 'read_receipt', payload: receipt, timestamp: 1 }, topic: 'chat:c', version: 1 });
    bench.socket.say({ event: { eventId: 'x', type: 'chat_message', payload: { ...chat, messageId: 'm2' }, timestamp: 1, sourceUserId: 'bob' }, topic: 'chat:c', offset: 2 });
    await settle();
  });
  // Bob has sent it, and types no more.
  assert.deepEqual(shown(), ['connected', 'busy', [], { c: 1 }]);
});

test('what was read before the connection is in its count already', async () => {
  const bench = new Bench();
  const { shown } = await mount(bench);
  const receipts = [{ chatId: 'c', userId: 'ann', messageId: 'm0', readAt: 1, version: 1 }];
  await act(async () => void (await bench.accept({ unread: { c: 5 }, receipts })));
  assert.deepEqual(shown()[3], { c: 5 });
  // Where the server could not count, they are all there is.
  await act(async () => {
    bench.socket.say({
      event: { eventId: 'm', type: 'chat_message', payload: { chatId: 'c', messageId: 'm1' }, timestamp: 1, sourceUserId: 'bob' },
      topic: 'chat:c', offset: 1, epoch: 'e',
    });
    bench.socket.end(1006);
    await bench.clock.pass(3_000);
    await bench.accept({ receipts: [{ ...receipts[0], messageId: 'm1', version: 2 }] });
  });
  assert.deepEqual(shown()[3], { c: 0 });
});

test('chats that are subscribed to later bring their counts', async () => {
  const bench = new Bench();
  const { shown } = await mount(bench);
  const say = (messageId: string, offset: number) => bench.socket.say({
    event: { eventId: `e-${messageId}`, type: 'chat_message', payload: { chatId: 'd', messageId }, timestamp: 1, sourceUserId: 'bob' },
    topic: 'chat:d', offset, epoch: 'e',
  });
  await act(async () => {
    const socket = await bench.accept({ unread: { c: 2 } });
    const added = bench.client.subscribe('chat:d');
    await settle();
    const [call] = socket.all('call');
    const receipts = [{ chatId: 'd', userId: 'ann', messageId: 'm0', readAt: 1, version: 1 }];
    // What it counts of others came before what was heard of them since.
    socket.say({ id: call.id, result: { subscriptions: ['chat:d'], denied: [], unread: { c: 9, d: 5 }, receipts } });
    await added;
    socket.say(live(0, 'e', 'chat:d'));
    say('m1', 1);
  });
  assert.deepEqual(shown()[3], { c: 2, d: 6 });
});

test('a receipt leaves unread what came after it, whether or not its message was seen here', async () => {
  const bench = new Bench();
  const { shown } = await mount(bench);
  const socket = () => bench.socket;
  let offset = 0;
  const say = (messageId: string, sourceUserId: string) => socket().say({
    event: { eventId: `e-${messageId}`, type: 'chat_message', payload: { chatId: 'c', messageId }, timestamp: 1, sourceUserId },
    topic: 'chat:c', offset: ++offset, ...(offset === 1 && { epoch: 'e' }),
  });
  const read = (messageId: string) => socket().say({
    event: { eventId: `r-${messageId}`, type: 'read_receipt', payload: { chatId: 'c', userId: 'ann', messageId, readAt: 1 }, timestamp: 1 },
    topic: 'chat:c', version: ++offset,
  });
  await act(async () => {
    await bench.accept({ ...ready.ready, unread: { c: 7 } });
    say('m1', 'bob');
    say('m2', 'ann');
    say('m3', 'bob');
    await settle();
  });
  assert.deepEqual(shown()[3], { c: 9 });
  // One that was sent before this page was opened.
  await act(async () => (read('m0'), settle()));
  assert.deepEqual(shown()[3], { c: 2 });
  // Their own, from which on only bob's last is unread.
  await act(async () => (read('m2'), settle()));
  assert.deepEqual(shown()[3], { c: 1 });
  await act(async () => (read('m3'), settle()));
  assert.deepEqual(shown()[3], { c: 0 });
});

test('ids beside the payload count, and a message without any goes by its event\'s', async () => {
  const bench = new Bench();
  const { shown } = await mount(bench);
  let n = 0;
  const say = (inner: object, topic = 'chat:c') => bench.socket.say({
    event: { eventId: `e${++n}`, type: 'chat_message', payload: { sealed: '…' }, timestamp: 1, sourceUserId: 'bob', ...inner },
    topic, offset: n, ...(n < 3 && { epoch: 'e' }),
  });
  const read = (messageId: string) => bench.socket.say({
    event: { eventId: `r${++n}`, type: 'read_receipt', payload: { chatId: 'c', userId: 'ann', messageId, readAt: 1 }, timestamp: 1 },
    topic: 'chat:c', version: n,
  });
  await act(async () => {
    const socket = await bench.accept({ unread: { c: 0 } });
    socket.say(live(0), live(0, 'e', 'chat:c'));
    say({ chatId: 'c', messageId: 'm1' });
    // The same in the inbox.
    say({ chatId: 'c', messageId: 'm1' }, 'user:ann');
    say({ payload: { text: 'without a name' } });
    say({ payload: { chatId: 'd', messageId: 'm9' } });
    say({ chatId: 'c', messageId: 'm2', payload: { messageId: 'within' } });
    await settle();
  });
  assert.deepEqual(shown()[3], { c: 3 });
  await act(async () => (read('e3'), settle()));
  assert.deepEqual(shown()[3], { c: 1 });
  await act(async () => (read('m2'), settle()));
  assert.deepEqual(shown()[3], { c: 0 });
});
