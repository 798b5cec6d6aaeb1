import { callOverHTTP, headers, resultOf } from '../calls/http.js';
import { RealtimeError } from '../errors.js';
import { ackHold, connectTimeout, streamAckDelay, streamLineMax } from '../limits.js';
import type { ConnectRequest } from '../types/frames.js';
import { failed, subscribeCall } from './subscribe.js';
import { type Opening, type OpenTransport, shuttable, type Shuttable } from './transport.js';

/**
 * Server-sent events over `fetch`, which unlike `EventSource` can carry a token: the subscribe call's own stream, or
 * `eventsUrl` with a ticket where the Firebase SDK has the token. A stream takes no acknowledgements. It is begun again, as the
 * same connection, with the positions that acknowledge; when it ends, a poll does. Not where the Firebase SDK has the token.
 */
export const openStream: OpenTransport = (opening, outer) => {
  const { environment, url, callable, request } = opening;
  /** Set while there is something to acknowledge. */
  let renewal: unknown;
  /** What was told to the server, or is to be. */
  let told: ConnectRequest['positions'];
  let sink: Shuttable;
  let abort: AbortController;

  function begin(): void {
    const own = (sink = shuttable(outer));
    const { signal } = (abort = new AbortController());
    told = request.positions;
    read(own, signal).catch(thrown => failed(RealtimeError.from(thrown), own));
  }

  function end(): void {
    if (renewal && !sink.isShut) acknowledge(opening, told);
    environment.clearTimeout(renewal);
    renewal = undefined;
    sink.isShut = true;
    abort.abort();
  }

  function renew(): void {
    end();
    begin();
  }

  async function read(sink: Shuttable, signal: AbortSignal): Promise<void> {
    let address = `${url}/subscribeToRealtimeEventsV1`;
    let init: RequestInit = { method: 'POST', body: JSON.stringify({ data: request }), headers: headers(opening.token) };
    if (callable) {
      const answer = await subscribeCall(opening, sink, signal);
      if (!answer?.eventsUrl) return sink.closed({ code: 0 });
      [address, init] = [answer.eventsUrl, {}];
    }
    const response = await environment.fetch!(address, {
      ...init, headers: { ...init.headers, Accept: 'text/event-stream' }, signal, cache: 'no-store',
    });
    // A refusal, or a proxy that does not stream.
    if (!/event-stream/.test(response.headers.get('content-type')!)) {
      await resultOf(response);
      return sink.closed({ code: 0 });
    }
    const reader = response.body!.getReader();
    const decoder = new TextDecoder();
    for (let rest = ''; ;) {
      const { done, value } = await reader.read();
      if (done) return sink.closed({ code: 0 });
      sink.alive();
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = lines.pop()!;
      if (rest.length > streamLineMax) return sink.closed({ code: 1009 });
      for (const line of lines) take(line, sink);
    }
  }

  /** A line of the stream. In the subscribe call's own framing messages are wrapped, and a result ends it. */
  function take(line: string, sink: Shuttable): void {
    if (!line.startsWith('data:')) return;
    const data = JSON.parse(line.slice(5));
    const frame = callable ? data : data.message;
    const ending = callable ? data : data.result;
    request.connectionId ??= frame?.ready?.connectionId;
    if (!callable && data.error) failed(RealtimeError.of(data.error), sink);
    else if (ending?.enabled === false) sink.closed({ code: 4504 });
    else if (ending?.code) sink.closed({ code: ending.code });
    else if (frame) sink.frame(frame);
  }

  begin();
  return {
    isDuplex: false,
    send(text) {
      // Its token is that of whoever is signed in by then, and would acknowledge as them: the next connection tells.
      if (callable) return;
      for (const { topic, epoch, offset } of JSON.parse(text).ack) {
        if (told[topic]?.offset !== offset) {
          renewal ??= environment.setTimeout(() => {
            renewal = undefined;
            renew();
          }, streamAckDelay * (0.5 + environment.random() / 2));
        }
        told[topic] = { epoch, offset };
      }
    },
    leave: () => renewal && renew(),
    close: end,
  };
};

/** A poll with the positions acknowledges them, once no stream of the device stands before them. It outlives the page. */
function acknowledge(opening: Opening, told: ConnectRequest['positions']): void {
  const { deviceId, positions } = opening.request;
  const cursor = Object.entries({ ...told, ...positions }).map(([topic, { epoch, offset }]) => `${topic}=${epoch}.${offset}`).join();
  const data = { cursor, deviceId, holdMs: ackHold };
  // Nobody waits for it, and what it fails to acknowledge comes again.
  callOverHTTP(opening, 'realtimePingV1', data, opening.token, connectTimeout, undefined, true).catch(() => {});
}
