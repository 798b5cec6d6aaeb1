import { RealtimeError } from '../errors.js';

/** As much of `fetch` as is needed, by no library's types. */
export type FetchLike = (
  url: string, init: { method: string; headers: Record<string, string>; body: string; signal: any; keepalive: boolean },
) => Promise<{ ok: boolean; status: number; json(): Promise<any> }>;

export interface ServerOptions {
  /** Where the server is. Default: the environment's `AVALO_URL`. */
  url?: string;
  /** `avk_…`. Default: the environment's `AVALO_API_KEY`. */
  apiKey?: string;
  /** Milliseconds one attempt may take. Default 10 000. */
  timeout?: number;
  /** Attempts after the first, while the server is away. Default 4: about ten seconds. */
  retries?: number;
  fetch?: FetchLike;
}

/** @throws RealtimeError INVALID_ARGUMENT */
export function assertOptions({ url, apiKey, timeout, retries, fetch }: ServerOptions): void {
  if (url !== undefined) assertURL(url);
  assert(apiKey === undefined || typeof apiKey === 'string', 'apiKey must be a text');
  assert(timeout === undefined || (Number.isFinite(timeout) && timeout > 0), `timeout must be a number of milliseconds, not ${timeout}`);
  assert(retries === undefined || (Number.isInteger(retries) && retries >= 0), `retries must be a whole number from 0 on, not ${retries}`);
  assert(fetch === undefined || typeof fetch === 'function', 'fetch must be a function');
}

/** @throws RealtimeError INVALID_ARGUMENT */
export function assertURL(url: unknown): void {
  assert(typeof url === 'string' && /^https?:\/\/[^/?#\s]+(\/[^?#\s]*)?$/.test(url), `url must be an https: or http: address, not ${url}`);
}

function assert(isSo: boolean, message: string): void {
  if (!isSo) throw new RealtimeError('INVALID_ARGUMENT', message);
}
