import { callOverHTTP } from '../calls/http.js';
import { RealtimeError } from '../errors.js';
import { connectTimeout } from '../limits.js';
import type { SubscribeAnswer } from '../types/frames.js';
import type { Opening, Sink } from './transport.js';

/** Asks for tickets and a cursor. Answers nothing when the sink was told that it failed. */
export async function subscribeCall(opening: Opening, sink: Sink, signal?: AbortSignal): Promise<SubscribeAnswer | undefined> {
  try {
    const answer: SubscribeAnswer = await callOverHTTP(
      opening, 'subscribeToRealtimeEventsV1', opening.request, opening.token, connectTimeout, signal);
    opening.wsUrl = answer.wsUrl;
    if (answer.enabled === false) sink.closed({ code: 4504 });
    else {
      // The inbox is what is asked for first. As somebody else nothing of this user is to be told, read or acknowledged.
      const [inbox] = opening.request.subscriptions;
      if (answer.denied.some(({ topic, code }) => topic === inbox && code === 'PERMISSION_DENIED')) {
        throw new RealtimeError('UNAUTHENTICATED', 'the token is of another user');
      }
      return answer;
    }
  } catch (thrown) {
    failed(thrown, sink);
  }
  return undefined;
}

/** Ends a transport with what a call threw. */
export function failed(thrown: unknown, sink: Sink): void {
  const { code, retryAfterMs, closeCode = 0, message: why } = thrown as RealtimeError;
  // Without a word of when to come back it was not the server who said so, but a network without it.
  const isServers = retryAfterMs !== undefined || code !== 'UNAVAILABLE';
  sink.closed({ code: closeCode, status: isServers ? code : undefined, retryAfterMs, why });
}
