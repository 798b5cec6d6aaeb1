import type { Environment } from '../environment.js';
import type { Platform } from './events.js';

/**
 * Where a token comes from: the token itself, or a function that gets one, asked before every attempt. `forceRefresh` is
 * true when the last token was refused or ends soon. Answering `null` means that nobody is signed in.
 */
export type TokenSource =
  | string
  | ((request: { forceRefresh: boolean }) => string | null | Promise<string | null>);

/** Calls one function of the server, as `httpsCallable(functions, name)` of the Firebase SDK makes them. */
export type CallableFactory = (name: string) => (data: unknown) => Promise<{ data: unknown }>;

export interface ClientOptions {
  /** Milliseconds: the first delay's upper bound, doubled with each failure up to 30 s. Default 3000. */
  reconnectInterval?: number;
  /** Failures in a row after which the client rests. Default 10. */
  maxReconnectAttempts?: number;
  /** Milliseconds between two pings; the server's wish counts when it is shorter. Default 25 000. */
  pingInterval?: number;
  /** Tells on the console what happens. Never a token or a payload. */
  debug?: boolean;
  /** Where the server is: `https://rt.example.com`. Default: the page's origin. */
  url?: string;
  /** Names this installation. Default: made once and kept in `localStorage`. */
  deviceId?: string;
  platform?: Platform;
  /** Topics to begin with, beside the user's own inbox. */
  subscriptions?: string[];
  /** Calls through the Firebase SDK, which adds the user's token: `name => httpsCallable(functions, name)`. */
  callable?: CallableFactory;
  /**
   * Keeps positions over a page's reload; `sessionStorage` fits, as it is each tab's own. Default: memory, and the
   * server's cursor for the device.
   */
  positions?: Pick<Storage, 'getItem' | 'setItem'>;
  /** Milliseconds a call may take. Default 10 000. */
  callTimeout?: number;
  /** What the client takes from its surroundings, to be replaced by tests and where there is no browser. */
  environment?: Partial<Environment>;
}
