import { callOverHTTP } from '../calls/http.js';
import { connectTimeout, logRetry, pollHold } from '../limits.js';
import type { Position } from '../types/frames.js';
import { failed, subscribeCall } from './subscribe.js';
import { type OpenTransport, shuttable, type Sink } from './transport.js';

/** Held polls, which pass everywhere. Handing the cursor back acknowledges what came before. */
export const openPolls: OpenTransport = (opening, outer) => {
  const sink = shuttable(outer);
  const abort = new AbortController();

  async function run(): Promise<void> {
    const answer = await subscribeCall(opening, sink, abort.signal);
    if (!answer) return;
    const { connectionId } = answer;
    let { cursor } = answer;
    // Polls without it would leave out what comes until the log is back.
    if (cursor === undefined) return sink.closed({ code: 0, status: 'UNAVAILABLE', retryAfterMs: logRetry });
    sink.alive();
    sink.frame({ ready: { ...answer, pingInterval: pollHold + connectTimeout } });
    // What is there at the beginning is told at once: what comes after it is no replay.
    for (let holdMs = 0; !sink.isShut; holdMs = pollHold) {
      const data = { connectionId, cursor, holdMs, deviceId: opening.request.deviceId };
      const told: any = await callOverHTTP(
        opening, 'realtimePingV1', data, opening.token, pollHold + connectTimeout, abort.signal);
      sink.alive();
      hand(told, sink);
      cursor = told.cursor;
    }
  }

  run().catch(thrown => failed(thrown, sink));
  return {
    isDuplex: false,
    send() {},
    close() {
      sink.isShut = true;
      abort.abort();
    },
  };
};

/** Turns a poll's answer into the frames that a stream would have brought. */
export function hand(told: any, sink: Pick<Sink, 'frame'>): void {
  const positions = cursorPositions(told.cursor);
  for (const { topic, offset, epoch = positions[topic]?.epoch, ahead, ...event } of told.events) {
    sink.frame({ event, topic, offset, epoch, ahead });
  }
  // Behind the events: a gap moves the position, and the events before it are not past yet.
  for (const gap of told.gaps ?? []) sink.frame({ gap });
  for (const unsubscribed of told.unsubscribed ?? []) sink.frame({ unsubscribed });
  for (const [topic, position] of Object.entries(positions)) sink.frame({ live: { topic, ...position } });
}

/** `user:ann=0000000142d1c0aa.17,…`; a topic that has no position yet stands there without one. */
export function cursorPositions(cursor: string): Record<string, Position> {
  const found: Record<string, Position> = {};
  for (const [, topic, epoch, offset] of (cursor ?? '').matchAll(/([^=,\s]+)=([0-9a-f]+)\.(\d+)/g)) {
    found[topic!] = { epoch: epoch!, offset: Number(offset) };
  }
  return found;
}
