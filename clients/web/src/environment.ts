/** What the client takes from its surroundings. Everything can be replaced; what is missing is done without. */

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
  /** Milliseconds; a wall clock, as it goes on while the machine sleeps. */
  now(): number;
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(timer: any): void;
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
    now: () => Date.now(),
    setTimeout: (run, ms) => scope.setTimeout(run, ms),
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
    return (globalThis as any)[name] ?? undefined;
  } catch {
    return undefined;
  }
}

function watch(listener: (event: PageEvent) => void): () => void {
  const { window, document } = globalThis as any;
  if (!window?.addEventListener) return () => {};
  const handlers: [any, string, () => void][] = [
    [window, 'online', () => listener('online')],
    [window, 'offline', () => listener('offline')],
    [window, 'pageshow', () => listener('wake')],
    [window, 'pagehide', () => listener('leave')],
    [document, 'resume', () => listener('wake')],
    [document, 'visibilitychange', () => listener(document.visibilityState === 'visible' ? 'wake' : 'leave')],
  ];
  for (const [target, type, handler] of handlers) target.addEventListener(type, handler);
  return () => {
    for (const [target, type, handler] of handlers) target.removeEventListener(type, handler);
  };
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
  const uuid = globalThis.crypto?.randomUUID?.().replace(/-/g, '');
  return prefix + (uuid ?? Array.from({ length: 24 }, () => Math.floor(random() * 36).toString(36)).join(''));
}
