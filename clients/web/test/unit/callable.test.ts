/** Where the Firebase SDK has the token, and may have another user's before the application says so. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RealtimeError } from '../../src/index.js';
import { Bench, settle } from '../support/fakes.js';

/** A client whose calls go as whoever is signed in, and what became of them. */
function signedIn(transport: string) {
  const calls: string[] = [];
  const who = { user: 'ann', denies: 'PERMISSION_DENIED' };
  const bench: Bench = new Bench({
    reconnectInterval: 10, subscriptions: ['chat:c'],
    callable: name => async (data: any) => {
      calls.push(`${who.user} ${name}`);
      if (name === 'realtimePingV1') return new Promise((_, reject) => (lose = () => reject(new RealtimeError('UNAVAILABLE', 'lost'))));
      const { subscriptions } = data;
      const isTheirs = (topic: string) => topic === `user:${who.user}` || topic === 'chat:c';
      const denied = subscriptions.filter((topic: string) => !isTheirs(topic)).map((topic: string) => ({ topic, code: who.denies }));
      return {
        data: {
          connectionId: `of-${who.user}`, subscriptions: subscriptions.filter(isTheirs), denied, cursor: 'chat:c=e1.7',
          wsUrl: 'wss://rt.test/ws?ticket=1', eventsUrl: 'https://rt.test/events?ticket=1',
        },
      };
    },
  }, { session: { getItem: () => transport, setItem() {} }, ...(transport !== 'websocket' && { webSocket: undefined }) });
  let lose = (): void => bench.socket.end(1006);
  return { bench, calls, who, lose: () => lose(), opened: () => bench.sockets.length + bench.posts.length };
}

const subscribe = 'subscribeToRealtimeEventsV1';
const poll = 'realtimePingV1';

describe('with a callable, somebody else who signs in before the application says so', () => {
  test('is not who polls begin again as', async () => {
    const { bench, calls, who, lose } = signedIn('poll');
    await bench.client.connect('ann');
    await settle();
    who.user = 'bob';
    lose();
    await bench.clock.pass(100);
    // Another token, asked for once, would mend it.
    assert.deepEqual(calls, [`ann ${subscribe}`, `ann ${poll}`, `bob ${subscribe}`, `bob ${subscribe}`]);
    assert.equal(bench.client.getConnectionInfo().reason, 'unauthenticated');
    await bench.client.connect('bob');
    await settle();
    assert.deepEqual(calls.slice(4), [`bob ${subscribe}`, `bob ${poll}`]);
    bench.client.disconnect();
  });

  test('is not who a WebSocket is opened as again', async () => {
    const { bench, who, lose, opened } = signedIn('websocket');
    void bench.client.connect('ann');
    await bench.accept();
    who.user = 'bob';
    lose();
    await bench.clock.pass(100);
    assert.equal(opened(), 1);
    assert.equal(bench.client.getConnectionInfo().reason, 'unauthenticated');
  });

  test('is not who a stream is read as', async () => {
    const { bench, who, opened } = signedIn('sse');
    who.user = 'bob';
    void bench.client.connect('ann');
    await bench.clock.pass(100);
    assert.equal(opened(), 0);
    assert.equal(bench.client.getConnectionInfo().reason, 'unauthenticated');
  });

  test('is not thought of when the inbox is denied for want of room', async () => {
    const { bench, who } = signedIn('poll');
    [who.user, who.denies] = ['somebody', 'RESOURCE_EXHAUSTED'];
    void bench.client.connect('ann');
    await bench.clock.pass(100);
    assert.equal(bench.client.getState(), 'connected');
    bench.client.disconnect();
  });
});
