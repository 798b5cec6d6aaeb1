/** A backend whose answers get lost, against a real server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RealtimeError, RealtimeServer } from '../../src/server/index.js';
import * as server from '../support/server.js';

/** The server gets what is said and does it, and what it answers is lost. */
const deaf = () => new RealtimeServer({
  url: server.url, apiKey: server.apiKey(), retries: 0,
  fetch: async (url, init) => {
    await (await fetch(url, init)).text();
    throw new TypeError('lost');
  },
});
const backend = () => new RealtimeServer({ url: server.url, apiKey: server.apiKey() });
const failure = (sent: Promise<unknown>): Promise<RealtimeError> => sent.then(() => assert.fail('answered'), error => error);
const inbox = async (user: string): Promise<unknown[]> => (await backend().call('readTopic', { topic: `user:${user}` })).events;

test('an event whose answer was lost is kept once when it is published again with the id of the error', async () => {
  const user = server.newUser();
  const event = { type: 'notification', targetUserId: user, payload: { n: 1 } } as const;
  const { eventId } = await failure(deaf().publish(event));
  assert.equal((await backend().publish({ ...event, eventId })).duplicate, true);
  assert.equal((await inbox(user)).length, 1);
});

test('a broadcast as well', async () => {
  const users = [server.newUser(), server.newUser()];
  const event = { type: 'notification', payload: { n: 1 } } as const;
  const { eventId } = await failure(deaf().broadcast(users, event));
  assert.equal((await backend().broadcast(users, { ...event, eventId })).duplicate, true);
  for (const user of users) assert.equal((await inbox(user)).length, 1);
});

test('who is erased is named', async () => {
  const user = server.newUser();
  assert.equal((await backend().eraseUser(user)).userId, user);
});
