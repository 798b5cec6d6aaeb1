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
  // Of JavaScript, which has no types to say so.
  assert.equal((await broadcastToUsers(['a', 'b'], event as any)).recipients, 2);
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

test('of an event whose fate is unknown the error says the id, and again with it it is the same', async () => {
  const { posts, options } = make(new TypeError('reset'), new TypeError('reset'), { success: true }, new TypeError('reset'), { success: true });
  const server = new RealtimeServer({ ...options, retries: 0 });
  const idOf = (sent: Promise<unknown>): Promise<string> => sent.then(() => assert.fail('answered'), error => error.eventId);
  const first = await idOf(server.publish(event));
  assert.match(first, /^evt_/);
  assert.equal(first, posts[0]!.data.eventId);
  assert.equal(await idOf(server.publish({ ...event, eventId: first })), first);
  await server.publish({ ...event, eventId: first });
  const { targetUserId: _, ...news } = event;
  const eventId = await idOf(server.broadcast(['ann'], news));
  await server.broadcast(['ann'], { ...news, eventId });
  assert.deepEqual(posts.map(({ data }) => data.eventId ?? data.event.eventId), [first, first, first, eventId, eventId]);
});

test('an id that is undefined is made, and what is refused needs none', async () => {
  const { posts, options } = make({ error: { status: 'INVALID_ARGUMENT', message: 'no' } });
  await assert.rejects(new RealtimeServer(options).publish({ ...event, eventId: undefined }), { code: 'INVALID_ARGUMENT', eventId: undefined });
  assert.match(posts[0]!.data.eventId, /^evt_/);
});

test('options that are none are refused at once', async () => {
  const bad: any[] = [
    { retries: 'x' }, { retries: -1 }, { retries: 1.5 }, { retries: NaN }, { timeout: 0 }, { timeout: Infinity }, { url: 'rubbish' },
    { url: 'ftp://rt.test' }, { url: '' }, { url: 'http://rt.test/?a' }, { apiKey: 1 }, { fetch: 'fetch' },
  ];
  for (const options of bad) {
    assert.throws(() => new RealtimeServer(options), { name: 'RealtimeError', code: 'INVALID_ARGUMENT' });
    assert.throws(() => configure(options), { code: 'INVALID_ARGUMENT' });
  }
  for (const url of ['http://rt.test', 'https://rt.test:8443/', 'https://rt.test/path/']) new RealtimeServer({ url, retries: 0, timeout: 1 });
  const { AVALO_URL } = process.env;
  process.env.AVALO_URL = 'rubbish';
  try {
    await assert.rejects(new RealtimeServer({ apiKey: 'avk_1' }).publish(event), { code: 'INVALID_ARGUMENT' });
  } finally {
    if (AVALO_URL === undefined) delete process.env.AVALO_URL;
    else process.env.AVALO_URL = AVALO_URL;
  }
});
