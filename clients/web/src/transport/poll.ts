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
    const { connectionId, cursor } = answer;
    // Polls without it would leave out what comes until the log is back.
    if (cursor === undefined) return sink.closed({ code: 0, status: 'UNAVAILABLE', retryAfterMs: logRetry });
    sink.frame({ ready: { ...answer, pingInterval: pollHold + connectTimeout } });
    // What is there at the beginning comes page by page, not of all topics at once. Nothing is waited for until it is told.
    const data = { connectionId, cursor, holdMs: 0, deviceId: opening.request.deviceId };
    while (!sink.isShut) {
      const told: any = await callOverHTTP(
        opening, 'realtimePingV1', data, opening.token, pollHold + connectTimeout, abort.signal);
      sink.alive();
      if (hand(told, sink, data.holdMs > 0)) data.holdMs = pollHold;
      data.cursor = told.cursor;
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

/**
 * Turns a poll's answer into the frames that a stream would have brought. Answers whether the replay is over: that is so once
 * there was nothing to tell.
 */
function hand({ events, gaps = [], unsubscribed = [], cursor }: any, sink: Sink, isLive: boolean): boolean {
  const positions: Record<string, Position> = {};
  // `user:ann=0000000142d1c0aa.17,…`; a topic that has no position yet stands there without one.
  for (const [, topic, epoch, offset] of cursor.matchAll(/([^=,]+)=(\w+)\.(\d+)/g)) {
    positions[topic] = { epoch, offset: +offset };
  }
  for (const { topic, offset, epoch = positions[topic]?.epoch, ahead, ...event } of events) {
    sink.frame({ event, topic, offset, epoch, ahead });
  }
  // Behind the events: a gap moves the position, and the events before it are not past yet.
  for (const gap of gaps) sink.frame({ gap });
  for (const one of unsubscribed) sink.frame({ unsubscribed: one });
  if (!isLive && [...events, ...gaps, ...unsubscribed].length) return false;
  for (const [topic, position] of Object.entries(positions)) sink.frame({ live: { topic, ...position } });
  return true;
}
