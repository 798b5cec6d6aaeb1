/** Clients that begin below WebSockets: on a stream, or on polls. */
import assert from 'node:assert/strict';
import type { Environment } from '../../src/environment.js';
import type { TransportName } from '../../src/types/client.js';
import type { ClientOptions } from '../../src/types/options.js';
import { Bench, FakeStream, live, ready, until } from './fakes.js';

/** Begins with that transport, as a page does whose session has found it before. */
export const at = (transport: TransportName): Partial<Environment> => ({
  session: { getItem: () => transport, setItem() {} },
});

/** A client on a stream, without WebSockets unless there are some. */
export async function streaming(environment: Partial<Environment> = { webSocket: undefined }) {
  const bench = new Bench({}, { ...at('sse'), ...environment });
  const streams: FakeStream[] = [];
  bench.answers.subscribeToRealtimeEventsV1 = () => {
    streams.push(new FakeStream());
    return streams[streams.length - 1];
  };
  bench.answers.realtimePingV1 = () => ({ success: true, events: [], cursor: '' });
  const got: unknown[] = [];
  bench.client.on('event', one => got.push(one.offset ?? one.eventId));
  void bench.client.connect('ann', 'token');
  await until(() => streams.length === 1);
  const receive = async (...frames: object[]) => {
    const before = got.length;
    streams[streams.length - 1]!.say(...frames);
    const events = frames.filter(frame => 'event' in frame).length;
    await until(() => got.length === before + events);
  };
  await receive(ready, live(0));
  await until(() => bench.client.getState() === 'connected');
  return { bench, streams, got, receive, calls: (name: string) => bench.posted(name) };
}

/** A client that has polls alone and is not connected yet. Every topic is granted and every poll held, unless the test says otherwise. */
export function onPolls(options: ClientOptions = {}): Bench {
  const bench = new Bench(options, { ...at('poll'), webSocket: undefined });
  bench.answers.subscribeToRealtimeEventsV1 = ({ subscriptions }) => ({ connectionId: 'c', subscriptions, denied: [], cursor: '' });
  bench.answers.realtimePingV1 = () => new Promise(() => {});
  return bench;
}

/** Connects it. */
export async function polling(bench: Bench): Promise<Bench> {
  void bench.client.connect('ann', 'token');
  await bench.clock.pass(100);
  assert.equal(bench.client.getState(), 'connected');
  return bench;
}
