import { headers, resultOf } from '../calls/http.js';
import { RealtimeError } from '../errors.js';
import { streamLineMax } from '../limits.js';
import { failed, subscribeCall } from './subscribe.js';
import { type OpenTransport, shuttable } from './transport.js';

/**
 * Server-sent events over `fetch`, which unlike `EventSource` can carry a token: the subscribe call's own stream, or
 * `eventsUrl` with a ticket where the Firebase SDK has the token.
 */
export const openStream: OpenTransport = (opening, outer) => {
  const { environment, url, callable, token, request } = opening;
  const sink = shuttable(outer);
  const abort = new AbortController();

  async function run(): Promise<void> {
    let address = `${url}/subscribeToRealtimeEventsV1`;
    let init: RequestInit = { method: 'POST', body: JSON.stringify({ data: request }), headers: headers(token) };
    if (callable) {
      const answer = await subscribeCall(opening, sink, abort.signal);
      if (!answer?.eventsUrl) return sink.closed({ code: 0 });
      [address, init] = [answer.eventsUrl, {}];
    }
    const response = await environment.fetch!(address, {
      ...init, headers: { ...init.headers, Accept: 'text/event-stream' }, signal: abort.signal, cache: 'no-store',
    });
    // A refusal, or a proxy that does not stream.
    if (!/event-stream/.test(response.headers.get('content-type') ?? '')) {
      const result = await resultOf(response);
      throw new RealtimeError(result?.enabled === false ? 'FAILED_PRECONDITION' : 'UNAVAILABLE', 'no stream');
    }
    const reader = response.body!.getReader();
    const decoder = new TextDecoder();
    for (let rest = ''; ;) {
      const { done, value } = await reader.read();
      if (done) return sink.closed({ code: 0 });
      sink.alive();
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = lines.pop()!;
      if (rest.length > streamLineMax) throw new RealtimeError('OUT_OF_RANGE', 'a line without end');
      for (const line of lines) take(line);
    }
  }

  /** A line of the stream. In the subscribe call's own framing messages are wrapped, and a result ends it. */
  function take(line: string): void {
    if (!line.startsWith('data:')) return;
    const data = JSON.parse(line.slice(5));
    const ending = callable ? data : data.result;
    if (data.message) sink.frame(data.message);
    else if (!callable && data.error) failed(RealtimeError.of(data.error), sink);
    else if (ending?.enabled === false) sink.closed({ code: 4504 });
    else if (typeof ending?.code === 'number') sink.closed({ code: ending.code });
    else if (callable) sink.frame(data);
  }

  run().catch(thrown => failed(RealtimeError.from(thrown), sink)).finally(() => abort.abort());
  return {
    isDuplex: false,
    send() {},
    close() {
      sink.isShut = true;
      abort.abort();
    },
  };
};
