/** Functions of the server over HTTP: with a token, or through the Firebase SDK. */
import type { Environment } from '../environment.js';
import { RealtimeError } from '../errors.js';
import type { CallableFactory } from '../types/options.js';

export interface Caller {
  environment: Environment;
  /** Where the server is, without a slash at the end. */
  url: string;
  callable: CallableFactory | undefined;
}

/** What is sent. @throws RealtimeError INVALID_ARGUMENT when JSON has no words for it */
export function encoded(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (thrown) {
    throw RealtimeError.from(thrown, 'INVALID_ARGUMENT');
  }
}

/**
 * Calls a function and answers its result.
 *
 * @param token the token, or what gets it
 * @param ms how long it may take, with getting the token
 * @param keepalive whether it outlives the page; it is small then
 * @throws RealtimeError
 */
export async function callOverHTTP(
  { environment, url, callable }: Caller, name: string, data: unknown,
  token: string | undefined | (() => Promise<string | undefined>), ms: number, signal?: AbortSignal, keepalive = false,
): Promise<any> {
  const abort = new AbortController();
  const stop = () => abort.abort();
  signal?.addEventListener('abort', stop);
  const timer = environment.setTimeout(() => abort.abort(unanswered(name, ms)), ms);
  try {
    const bearer = typeof token === 'function' ? await orAborted(token(), abort.signal) : token;
    if (callable) return (await orAborted(callable(name)(data), abort.signal)).data;
    const response = await environment.fetch!(`${url}/${name}`, {
      method: 'POST', keepalive, signal: abort.signal, headers: headers(bearer), body: encoded({ data }),
    });
    return await resultOf(response);
  } catch (thrown) {
    throw RealtimeError.from(abort.signal.reason ?? thrown);
  } finally {
    environment.clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}

export function unanswered(name: string, ms: number): RealtimeError {
  return new RealtimeError('DEADLINE_EXCEEDED', `${name}: no answer in ${ms} ms`);
}

export function headers(token: string | undefined): Record<string, string> {
  return { 'Content-Type': 'application/json', ...(token !== undefined && { Authorization: `Bearer ${token}` }) };
}

/** The result in an answer, or its error, thrown. */
export async function resultOf(response: Response): Promise<any> {
  const answer = await response.json().catch(() => null);
  if (answer?.error?.status) throw RealtimeError.of(answer.error);
  if (response.ok && answer && 'result' in answer) return answer.result;
  // A proxy's, say: its status is no word of what the server would answer.
  throw new RealtimeError('UNAVAILABLE', `no answer: ${response.status}`);
}

/** What a function answers, or an error as soon as nobody waits for it any more. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
    work.then(resolve, reject);
  });
}
