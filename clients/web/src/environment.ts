/** What the client takes from its surroundings. Everything can be replaced; what is missing is done without. */
import { timerMax } from './limits.js';

/** As much of a WebSocket as the client needs; the browser's and Node's have it. */
export interface WebSocketLike {
  send(text: string): void;
  close(code?: number): void;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: { data: any }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  onerror: ((event: any) => void) | null;
}

export type StorageLike = Pick<Storage, 'getItem' | 'setItem'>;

/** `leave`: the page goes away, now is the last moment to say something. */
export type PageEvent = 'online' | 'offline' | 'wake' | 'leave';

export interface Environment {
  /** Milliseconds since some moment, by a clock that nobody sets. */
  now(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(handle: any): void;
  /** 0 ≤ x < 1 */
  random(): number;
  webSocket: (new (url: string, protocols: string[]) => WebSocketLike) | undefined;
  fetch: typeof globalThis.fetch | undefined;
  /** Kept: the device's name. */
  local: StorageLike | undefined;
  /** Kept for this tab: the transport that works. */
  session: StorageLike | undefined;
  isOnline(): boolean;
  /** Tells what happens to the page and its network, until the answered function is called. */
  watch(listener: (event: PageEvent) => void): () => void;
}

/** The surroundings as they are, in a browser, a worker or Node. */
export function surroundings(): Environment {
  const scope = globalThis as any;
  return {
    now: () => scope.performance.now(),
    // What is longer fires at once.
    setTimeout: (run, ms) => scope.setTimeout(run, Math.min(ms, timerMax)),
    clearTimeout: timer => scope.clearTimeout(timer),
    random: Math.random,
    webSocket: scope.WebSocket,
    fetch: scope.fetch?.bind(scope),
    local: storage('localStorage'),
    session: storage('sessionStorage'),
    isOnline: () => scope.navigator?.onLine !== false,
    watch,
  };
}

/** A page may be forbidden its storage: then even looking at it throws. */
function storage(name: 'localStorage' | 'sessionStorage'): StorageLike | undefined {
  try {
    return (globalThis as any)[name];
  } catch {
    return undefined;
  }
}

function watch(listener: (event: PageEvent) => void): () => void {
  const { window, document } = globalThis as any;
  if (!window?.addEventListener) return () => {};
  const abort = new AbortController();
  const on = (target: any, type: string, event: () => PageEvent) => target.addEventListener(type, () => listener(event()), abort);
  on(window, 'online', () => 'online');
  on(window, 'offline', () => 'offline');
  on(window, 'pageshow', () => 'wake');
  on(window, 'pagehide', () => 'leave');
  on(document, 'resume', () => 'wake');
  on(document, 'visibilitychange', () => document.visibilityState === 'visible' ? 'wake' : 'leave');
  return () => abort.abort();
}

/** Reads what was kept; `null` where that is not possible. */
export function recall(storage: StorageLike | undefined, key: string): string | null {
  try {
    return storage?.getItem(key) ?? null;
  } catch {
    return null;
  }
}

/** Keeps a text; full or forbidden storage is gone without. */
export function keep(storage: StorageLike | undefined, key: string, value: string): void {
  try {
    storage?.setItem(key, value);
  } catch {
    // What is kept is a convenience: the server's cursor stands in for it.
  }
}

/** A name that nobody else has. */
export function newID(prefix: string, random: () => number): string {
  const part = () => random().toString(36).slice(2);
  return prefix + (globalThis.crypto?.randomUUID?.() ?? part() + part());
}
