/** What one user is told is not shown to another, not in one rendering. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createElement, StrictMode, useLayoutEffect } from 'react';
import { act, create } from 'react-test-renderer';
import {
  RealtimeProvider, useConnectionInfo, usePresence, useRealtimeClient, useTopic, useTyping, useUnread,
} from '../../src/react/index.js';
import { Bench, live, settle } from '../support/fakes.js';

(globalThis as any).IS_REACT_ACT_ENVIRONMENT = true;
const nothing = { presence: {}, typing: [], unread: {}, denied: [] };

/** Notes what each rendering put on the page, under whose name. */
function Page({ user, painted }: { user: string | null | undefined; painted: any[] }) {
  const [presence, typing, unread, denied] = [usePresence(['eve']), useTyping('c'), useUnread(), useTopic(['chat:c', 'chat:no'])];
  const { state, userId } = useConnectionInfo();
  const client = useRealtimeClient();
  useLayoutEffect(() => {
    painted.push({ under: user === undefined ? client.getConnectionInfo().userId : user, state, userId, presence, typing, unread, denied });
  });
  return null;
}

async function mount(first: string | null | undefined) {
  const bench = new Bench();
  const painted: any[] = [];
  const page = (user: string | null | undefined) => createElement(StrictMode, null, createElement(
    RealtimeProvider, { client: bench.client, userId: user, token: () => 'token', children: createElement(Page, { user, painted }) }));
  let root: any;
  await act(async () => {
    root = create(page(first));
    await settle();
  });
  const show = (user: string | null | undefined) => act(async () => {
    root.update(page(user));
    await settle();
  });
  const last = () => painted[painted.length - 1];
  return { bench, painted, show, last };
}

/** Everything that is for ann alone: who types, how eve is for her chat partners, what is unread, what is not allowed. */
async function tellAnn(bench: Bench) {
  await act(async () => {
    const denied = [{ topic: 'chat:no', code: 'PERMISSION_DENIED' }];
    const socket = await bench.accept({ unread: { c: 2 }, denied, subscriptions: ['user:ann', 'chat:c', 'presence:eve'] });
    const say = (type: string, payload: object, more: object) =>
      socket.say({ event: { eventId: type, type, payload, timestamp: 1, sourceUserId: 'eve' }, ...more });
    socket.say(live(0));
    say('presence_update', { userId: 'eve', status: 'busy', activity: 'for partners' }, { topic: 'presence:eve', version: 1 });
    say('typing_indicator', { chatId: 'c', userId: 'eve', isTyping: true, expiresInMs: 5000 }, { topic: 'chat:c' });
    await settle();
  });
}

function assertOfAnn({ presence, typing, unread, denied }: any) {
  assert.equal(presence.eve.activity, 'for partners');
  assert.deepEqual([typing, unread, denied], [['eve'], { c: 2 }, [{ topic: 'chat:no', code: 'PERMISSION_DENIED' }]]);
}

const shownIn = ({ presence, typing, unread, denied }: any) => ({ presence, typing, unread, denied });

test('who logs out leaves nothing on the page, from the first rendering on', async () => {
  const { bench, painted, show, last } = await mount('ann');
  await tellAnn(bench);
  assertOfAnn(last());
  await show(null);
  await new Promise(resolve => setTimeout(resolve, 5));
  await show(null);
  assert.equal(bench.client.getState(), 'disconnected');
  const after = painted.filter(({ under }) => under === null);
  assert(after.length > 1);
  for (const one of after) assert.deepEqual(one, { under: null, state: 'disconnected', userId: null, ...nothing });
});

test('the next user on the same client sees nothing of the last one', async () => {
  const { bench, painted, show, last } = await mount('ann');
  await tellAnn(bench);
  await show('bob');
  assert.equal(bench.client.getConnectionInfo().userId, 'bob');
  // An event of a kind that bob has, too.
  await act(async () => {
    const socket = await bench.accept({ userId: 'bob', unread: { d: 1 }, subscriptions: ['user:bob', 'chat:c', 'chat:no'] });
    socket.say({
      event: { eventId: 'p', type: 'presence_update', payload: { userId: 'eve', status: 'busy' }, timestamp: 1 },
      topic: 'presence:eve', version: 1,
    });
    await settle();
  });
  const under = painted.filter(one => one.under === 'bob');
  assert.deepEqual(shownIn(under[0]), nothing);
  for (const one of under) {
    assert.equal(one.userId, 'bob');
    assert.equal(JSON.stringify(one).includes('partners'), false);
    assert.deepEqual([one.typing, one.unread.c, one.denied], [[], undefined, []]);
  }
  assert.deepEqual(shownIn(last()), { ...nothing, presence: { eve: { userId: 'eve', status: 'busy' } }, unread: { d: 1 } });
});

test('who comes back sees only what is said anew, but for the count', async () => {
  const { bench, painted, show } = await mount('ann');
  await tellAnn(bench);
  await show(null);
  painted.length = 0;
  await show('ann');
  assert.deepEqual([painted[0].presence, painted[0].typing], [{}, []]);
});

test('without a user of the provider it is the client\'s that counts', async () => {
  const { bench, painted, last } = await mount(undefined);
  assert.deepEqual(shownIn(last()), nothing);
  await act(async () => {
    void bench.client.connect('ann', 'token');
    await settle();
  });
  await tellAnn(bench);
  assertOfAnn(last());
  painted.length = 0;
  await act(async () => {
    void bench.client.connect('bob', 'of bob').catch(() => {});
    await settle();
  });
  assert.equal(last().under, 'bob');
  for (const one of painted.filter(({ under }) => under === 'bob')) assert.deepEqual(shownIn(one), nothing);
});
