import { callOverHTTP } from '../calls/http.js';
import type { RealtimeError } from '../errors.js';
import { connectTimeout } from '../limits.js';
import type { SubscribeAnswer } from '../types/frames.js';
import type { Opening, Sink } from './transport.js';

/** Asks for tickets and a cursor. Answers nothing when the sink was told that it failed. */
export async function subscribeCall(opening: Opening, sink: Sink, signal?: AbortSignal): Promise<SubscribeAnswer | undefined> {
  try {
    const answer: SubscribeAnswer = await callOverHTTP(
      opening, 'subscribeToRealtimeEventsV1', opening.request, opening.token, connectTimeout, signal);
    opening.wsUrl = answer.wsUrl;
    if (answer.enabled !== false) return answer;
    sink.closed({ code: 4504 });
  } catch (thrown) {
    failed(thrown, sink);
  }
  return undefined;
}

/** Ends a transport with what a call threw. */
export function failed(thrown: unknown, sink: Sink): void {
  const { code, retryAfterMs, closeCode = 0 } = thrown as RealtimeError;
  // Without a word of when to come back it was not the server who said so, but a network without it.
  if (retryAfterMs === undefined) sink.closed({ code: closeCode, ...(code !== 'UNAVAILABLE' && { status: code }) });
  else sink.closed({ code: closeCode, status: code, retryAfterMs });
}
