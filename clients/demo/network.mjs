/** A network for one of the people in this window alone, so that theirs can be cut while the other's stays. */
export class Network {
  #isOnline = true;
  #sockets = new Set();
  #listener = null;

  /** What the client takes instead of the browser's own. */
  get environment() {
    const network = this;
    return {
      isOnline: () => this.#isOnline && navigator.onLine,
      fetch: (...request) => (this.#isOnline ? fetch(...request) : Promise.reject(new TypeError('offline'))),
      webSocket: class extends WebSocket {
        constructor(url, protocols) {
          super(url, protocols);
          network.#sockets.add(this);
          this.addEventListener('close', () => network.#sockets.delete(this));
        }
      },
      watch: listener => {
        this.#listener = listener;
        const end = new AbortController();
        const on = (target, type, what) => target.addEventListener(type, what, { signal: end.signal });
        on(window, 'online', () => this.#isOnline && listener('online'));
        on(window, 'offline', () => listener('offline'));
        on(window, 'pagehide', () => listener('leave'));
        on(document, 'visibilitychange', () => listener(document.visibilityState === 'visible' ? 'wake' : 'leave'));
        return () => end.abort();
      },
    };
  }

  /** Whatever is open ends at once, without a goodbye. */
  cut() {
    for (const socket of this.#sockets) {
      const { onclose } = socket;
      socket.onclose = socket.onmessage = null;
      socket.close();
      onclose?.({ code: 1006 });
    }
    this.#sockets.clear();
  }

  get isOnline() {
    return this.#isOnline;
  }

  set isOnline(isOnline) {
    this.#isOnline = isOnline;
    this.#listener?.(isOnline ? 'online' : 'offline');
    if (!isOnline) this.cut();
  }
}
