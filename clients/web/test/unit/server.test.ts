import assert from 'node:assert/strict';
import { test } from 'node:test';
import { broadcastToUsers, configure, publishRealtimeEvent, RealtimeEventType, RealtimeServer } from '../../src/server/index.js';

function make(...answers: (object | Error)[]) {
  const posts: { url: string; data: any; authorization: string }[] = [];
  const fetch: any = async (url: string, init: any) => {
    posts.push({ url, data: JSON.parse(init.body).data, authorization: init.headers.Authorization });
    const answer: any = answers.shift();
    if (answer instanceof Error) throw answer;
    return { ok: !answer.error, status: answer.error ? 503 : 200, json: async () => (answer.error ? answer : { result: answer }) };
  };
  return { posts, options: { url: 'http://rt.test/', apiKey: 'avk_1', fetch } };
}

const event = { type: RealtimeEventType.CHAT_MESSAGE, targetUserId: 'ann', payload: { chatId: 'c', messageId: 'm' } };

test('publishRealtimeEvent publishes with the key, and answers what was kept', async () => {
  const { posts, options } = make({ success: true, offset: 3 });
  configure(options);
  assert.equal((await publishRealtimeEvent({ ...event, eventId: 'e' })).offset, 3);
  assert.deepEqual(posts, [{ url: 'http://rt.test/publishRealtimeEvent', data: { ...event, eventId: 'e' }, authorization: 'Bearer avk_1' }]);
});

test('broadcastToUsers sends one call, and an event that names no user', async () => {
  const { posts, options } = make({ success: true, recipients: 2 });
  configure(options);
  assert.equal((await broadcastToUsers(['a', 'b'], event)).recipients, 2);
  assert.deepEqual(posts[0]!.data.userIds, ['a', 'b']);
  assert.equal('targetUserId' in posts[0]!.data.event, false);
});

test('what fails by the network or the server is tried again with the same id, and kept once', async () => {
  const { posts, options } = make(new TypeError('reset'), { error: { status: 'UNAVAILABLE', message: '' } }, { success: true, duplicate: true });
  await new RealtimeServer(options).publish(event);
  assert.equal(posts.length, 3);
  assert.equal(new Set(posts.map(post => post.data.eventId)).size, 1);
});

test('what is refused is not tried again', async () => {
  const { posts, options } = make({ error: { status: 'INVALID_ARGUMENT', message: 'no' } });
  await assert.rejects(new RealtimeServer(options).publish(event), { code: 'INVALID_ARGUMENT', message: 'no' });
  assert.equal(posts.length, 1);
});

test('what is no JSON is refused at once', async () => {
  const { posts, options } = make();
  const big = { ...event, payload: { n: 1n } };
  await assert.rejects(new RealtimeServer(options).publish(big), { name: 'RealtimeError', code: 'INVALID_ARGUMENT' });
  assert.deepEqual(posts, []);
});

test('lists are walked to their end', async () => {
  const { posts, options } = make(
    { members: [{ userId: 'a', since: 1 }], nextCursor: 'a' }, { members: [{ userId: 'b', since: 2 }], nextCursor: null });
  const users: string[] = [];
  for await (const member of new RealtimeServer(options).chatMembers('c')) users.push(member.userId);
  assert.deepEqual(users, ['a', 'b']);
  assert.equal(posts[1]!.data.cursor, 'a');
});

test('without an address or a key it says so', async () => {
  await assert.rejects(new RealtimeServer({ url: 'http://rt.test' }).publish(event), { code: 'FAILED_PRECONDITION' });
});
