/** A clock that stands still, a network that is told what it is, and sockets that do what the test says. */
import type { Environment, PageEvent, StorageLike, WebSocketLike } from '../../src/environment.js';
import { RealtimeWebSocketClient } from '../../src/client.js';
import type { ClientOptions } from '../../src/types/options.js';

export class FakeClock {
  now = 1_700_000_000_000;
  #timers: { at: number; run: () => void }[] = [];

  setTimeout = (run: () => void, ms: number): unknown => {
    const timer = { at: this.now + ms, run };
    this.#timers.push(timer);
    return timer;
  };

  clearTimeout = (timer: any): void => {
    this.#timers = this.#timers.filter(other => other !== timer);
  };

  get pending(): number {
    return this.#timers.length;
  }

  /** Lets time pass, with every timer at its time and every promise after it. */
  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    await settle();
    for (;;) {
      const next = this.#timers.filter(timer => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.clearTimeout(next);
      this.now = Math.max(this.now, next.at);
      next.run();
      await settle();
    }
    this.now = end;
  }

  /** The machine sleeps: time passes and nothing runs. */
  sleep(ms: number): void {
    this.now += ms;
  }
}

/** Every promise that can be settled is. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

export class FakeSocket implements WebSocketLike {
  sent: any[] = [];
  isClosed = false;
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;

  constructor(readonly url: string, readonly protocols: string[]) {}

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.isClosed = true;
  }

  /** What was sent and has that member. */
  all(member: string): any[] {
    return this.sent.filter(frame => member in frame);
  }

  open(): void {
    this.onopen?.({});
  }

  say(...frames: object[]): void {
    for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) });
  }

  end(code: number): void {
    this.onclose?.({ code });
  }
}

export const ready = {
  ready: {
    connectionId: 'conn_1', userId: 'ann', deviceId: 'dev', subscriptions: ['user:ann'], denied: [], pingInterval: 25_000,
  },
};

/** An event of a topic, as the server frames it. */
export function event(topic: string, offset: number, more: object = {}, inner: object = {}): object {
  return {
    event: { eventId: `evt_${topic}_${offset}`, type: 'notification', payload: { n: offset }, timestamp: 1, ...inner },
    topic, offset, ...more,
  };
}

/** From here on what comes of a topic is no replay. */
export function live(offset: number, epoch = 'e', topic = 'user:ann'): object {
  return { live: { topic, epoch, offset } };
}

/** A stream of the subscribe call that says what the test says. */
export class FakeStream {
  isAborted = false;
  /** @param isWrapped false: as the stream behind a ticket says it */
  constructor(private readonly isWrapped = true) {}

  #controller!: ReadableStreamDefaultController<Uint8Array>;
  readonly raw = new Response(new ReadableStream({ start: controller => void (this.#controller = controller) }), {
    headers: { 'content-type': 'text/event-stream' },
  });

  abort = (): void => {
    this.isAborted = true;
    this.#controller.error(new Error('aborted'));
  };

  say(...frames: object[]): void {
    for (const frame of frames) {
      const text = JSON.stringify(this.isWrapped ? { message: frame } : frame);
      this.#controller.enqueue(new TextEncoder().encode(`data: ${text}\n`));
    }
  }

  end(): void {
    this.#controller.close();
  }
}

/** Waits for what takes more turns than promises do, such as a stream's. */
export async function until(what: () => unknown): Promise<void> {
  for (let i = 0; !what(); i++) {
    if (i > 10_000) throw new Error(`never: ${what}`);
    await new Promise(resolve => setImmediate(resolve));
  }
}

/** A client with everything around it made up. */
export class Bench {
  clock = new FakeClock();
  sockets: FakeSocket[] = [];
  /** How calls over HTTP are answered, by name; what they threw is a network that fails. */
  answers: Record<string, (data: any, token: string | null) => unknown> = {};
  posts: { name: string; data: any; token: string | null; keepalive: boolean }[] = [];
  isOnline = true;
  local = new Map<string, string>();
  session = new Map<string, string>();
  /** What `random` answers: full jitter at its most. */
  chance = 0.999_999;
  client: RealtimeWebSocketClient;
  states: string[] = [];
  watchers = 0;
  #listener: ((event: PageEvent) => void) | undefined;

  constructor(options: ClientOptions = {}, environment: Partial<Environment> = {}) {
    const bench = this;
    this.client = new RealtimeWebSocketClient({
      url: 'https://rt.test', deviceId: 'dev', ...options,
      environment: {
        now: () => this.clock.now, setTimeout: this.clock.setTimeout, clearTimeout: this.clock.clearTimeout,
        random: () => this.chance, isOnline: () => this.isOnline, local: store(this.local), session: store(this.session),
        webSocket: class extends FakeSocket {
          constructor(url: string, protocols: string[]) {
            super(url, protocols);
            bench.sockets.push(this);
          }
        },
        fetch: ((url: string, init: any) => this.#fetch(url, init)) as any,
        watch: listener => {
          this.watchers++;
          this.#listener = listener;
          return () => void (this.watchers--, (this.#listener = undefined));
        },
        ...environment,
      },
    });
    this.client.onStateChange(state => this.states.push(state));
  }

  get socket(): FakeSocket {
    return this.sockets[this.sockets.length - 1]!;
  }

  /** The calls over HTTP of that name. */
  posted(name: string): Bench['posts'] {
    return this.posts.filter(post => post.name === name);
  }

  page(event: PageEvent): void {
    if (event === 'online' || event === 'offline') this.isOnline = event === 'online';
    this.#listener?.(event);
  }

  /** Connects, and stays so long that it counts as a success. */
  async connected(token: any = 'token'): Promise<FakeSocket> {
    void this.client.connect('ann', token);
    await this.accept();
    await this.clock.pass(6_000);
    return this.socket;
  }

  /** Accepts the attempt that is under way. */
  async accept(more: object = {}): Promise<FakeSocket> {
    await settle();
    this.socket.open();
    const { userId } = this.client.getConnectionInfo();
    this.socket.say({ ready: { ...ready.ready, userId, ...more } });
    await settle();
    return this.socket;
  }

  async #fetch(url: string, init: any): Promise<any> {
    const name = url.slice(url.lastIndexOf('/') + 1);
    const token = init.headers?.Authorization?.slice(7) ?? null;
    const data = init.body && JSON.parse(init.body).data;
    this.posts.push({ name, data, token, keepalive: init.keepalive ?? false });
    const answer = this.answers[name];
    if (!answer) throw new TypeError('Failed to fetch');
    const result: any = await new Promise((resolve, reject) => {
      init.signal?.addEventListener('abort', () => reject(new Error('aborted')));
      Promise.resolve(answer(data, token)).then(resolve, reject);
    });
    if (result?.raw) {
      init.signal?.addEventListener('abort', () => result.abort?.());
      return result.raw;
    }
    const body = result?.error ? result : { result };
    return {
      ok: !result?.error, status: result?.error ? 400 : 200, headers: new Headers({ 'content-type': 'application/json' }),
      json: async () => body,
    };
  }
}

/** Keeps texts as a browser does, where a test can look at them. */
export function store(map: Map<string, string>): StorageLike {
  return { getItem: key => map.get(key) ?? null, setItem: (key, value) => void map.set(key, value) };
}
