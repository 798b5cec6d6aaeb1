/** What a user does while there is no connection, kept until it is told: in order, once, by one tab. */
import { encoded } from '../calls/http.js';
import type { RealtimeWebSocketClient } from '../client.js';
import { Emitter } from '../delivery/emitter.js';
import { newID } from '../environment.js';
import { RealtimeError } from '../errors.js';
import type { EventDraft, PresenceUpdate } from '../types/calls.js';
import type { Listener } from '../types/client.js';
import type { Entry, OutboxStore } from './entry.js';
import { IndexedDBStore } from './indexeddb.js';
import { LayeredStore } from './layered.js';
import { Pace } from './pace.js';
import { defaultTTL, entriesMax, entryBytesMax, otherTTL, outcome, retryDelay, told } from './policy.js';

export type { Entry, NewEntry, OutboxStore } from './entry.js';
export { IndexedDBStore } from './indexeddb.js';
export { MemoryStore } from './memory.js';

export interface OutboxOptions {
  /** Milliseconds, by type of event or name of function; what is not there keeps its default. */
  ttl?: Record<string, number>;
  /** Entries of one user. Default 1000. */
  max?: number;
  /** Default: IndexedDB, and memory where that is full or forbidden. */
  store?: OutboxStore;
  /**
   * Default: the browser's Web Locks. Where there are none, or they are denied as in a sandboxed frame, every tab tells what it
   * finds: two may tell the same, which the server keeps once by its id.
   */
  locks?: { request(name: string, body: () => Promise<void>): Promise<unknown> };
}

export interface OutboxEvents {
  /** It was told to the server; this is what it answered. */
  sent: { entry: Entry; result: any };
  /** The server will not have it. */
  failed: { entry: Entry; error: RealtimeError };
  /** Its time was over before it could be told. */
  expired: { entry: Entry };
  /** It cannot be kept over the page's end just now; memory stands in. Told once, until something can be kept again. */
  volatile: { error: unknown };
}

/**
 * ```ts
 * const outbox = new Outbox(client);
 * const { eventId } = await outbox.publish({ type: 'chat_message', topic: 'chat:c1', payload });
 * ```
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #store: OutboxStore;
  readonly #emitter = new Emitter<OutboxEvents>(thrown => console.error('[avalo]', thrown));
  readonly #stop: () => void;
  readonly #pace = new Pace();
  /** Between the tabs: one that has no connection may add what another can tell. */
  readonly #channel: BroadcastChannel | undefined;
  #draining = false;
  #again = false;
  #failures = 0;
  /** Until it fires nothing is told: the server, or our own pace, is not to be hurried. */
  #pause: ReturnType<typeof setTimeout> | undefined;
  /** What the server asked for, on whichever connection: nothing of the user before that time, of a clock that is never set. */
  #notBefore = { user: '', at: 0 };
  #isClosed = false;

  constructor(private readonly client: RealtimeWebSocketClient, options: OutboxOptions = {}) {
    this.#options = options;
    this.#store = options.store ?? new LayeredStore(durable(), error => this.#emitter.emit('volatile', { error }));
    // Our own delays were those of the connection before.
    this.#stop = client.onStateChange(() => this.#goOn());
    this.#channel = channel(user => user === client.getConnectionInfo().userId && this.#drainSoon());
    this.#drainSoon();
  }

  on<Name extends keyof OutboxEvents>(name: Name, listener: Listener<OutboxEvents[Name]>): () => void {
    return this.#emitter.on(name, listener);
  }

  /** Publishes as soon as it can. Answers when the event is kept here, with its id. */
  async publish(event: EventDraft): Promise<{ eventId: string }> {
    const { eventId = newID('evt_', Math.random), timestamp = Date.now(), ...rest } = event;
    await this.add('publishRealtimeEvent', { eventId, timestamp, ...rest }, { type: event.type.toLowerCase() });
    return { eventId };
  }

  sendReadReceipt(chatId: string, messageId: string): Promise<void> {
    return this.add('sendReadReceiptV1', { chatId, messageId, requestId: newID('req_', Math.random) });
  }

  markChatAsRead(chatId: string): Promise<void> {
    return this.add('markChatAsReadV1', { chatId, requestId: newID('req_', Math.random) }, { key: `read:${chatId}` });
  }

  /** Of several only the last one is told. */
  updatePresence(presence: PresenceUpdate): Promise<void> {
    return this.add('updatePresenceV1', presence, { key: 'presence' });
  }

  /**
   * Keeps any call that may be made twice, with its data as they are now.
   *
   * @throws RealtimeError RESOURCE_EXHAUSTED when there is no room, INVALID_ARGUMENT when it is too large or no JSON
   */
  async add(name: string, data: unknown, { key, type = name }: { key?: string; type?: string } = {}): Promise<void> {
    const user = this.#user();
    const text = encoded([data]);
    if (text.length > entryBytesMax) throw new RealtimeError('INVALID_ARGUMENT', `more than ${entryBytesMax} bytes`);
    const { ttl = {}, max = entriesMax } = this.#options;
    const expiresAt = Date.now() + (ttl[type] ?? defaultTTL[type] ?? otherTTL);
    if (!(await this.#store.add({ user, name, data: JSON.parse(text)[0], expiresAt, ...(key && { key }) }, max))) {
      throw new RealtimeError('RESOURCE_EXHAUSTED', `${max} things wait for a connection already`);
    }
    if (this.#isClosed) return;
    this.#channel?.postMessage(user);
    this.#drainSoon();
  }

  /** What waits, in its order. */
  pending(): Promise<Entry[]> {
    return this.#store.all(this.#user());
  }

  /** Sends nothing any more; what waits stays where it is. */
  close(): void {
    this.#isClosed = true;
    this.#stop();
    this.#channel?.close();
    clearTimeout(this.#pause);
  }

  #user(): string {
    const { userId } = this.client.getConnectionInfo();
    if (!userId) throw new RealtimeError('FAILED_PRECONDITION', 'client.connect(userId, authToken) comes first');
    return userId;
  }

  get #isReady(): boolean {
    return !this.#isClosed && this.client.getState() === 'connected';
  }

  #goOn(): void {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    const { user, at } = this.#notBefore;
    const ms = user === this.client.getConnectionInfo().userId ? at - performance.now() : 0;
    if (ms > 0) this.#goOnIn(ms);
    else this.#drainSoon();
  }

  #goOnIn(ms: number): void {
    clearTimeout(this.#pause);
    if (!this.#isClosed) this.#pause = setTimeout(() => this.#goOn(), ms);
  }

  #drainSoon(): void {
    if (!this.#isReady || this.#pause !== undefined) return;
    this.#again = this.#draining;
    if (this.#draining) return;
    this.#draining = true;
    void this.#drainLocked(this.#user())
      .catch((error: unknown) => this.#emitter.emit('volatile', { error }))
      .finally(() => {
        this.#draining = false;
        if (this.#again) this.#drainSoon();
      });
  }

  async #drainLocked(user: string): Promise<void> {
    const locks: OutboxOptions['locks'] = this.#options.locks ?? globalThis.navigator?.locks;
    let isHeld = false;
    try {
      if (locks) {
        await locks.request(`avalo-outbox:${user}`, () => {
          isHeld = true;
          return this.#drain(user);
        });
      }
    } catch (thrown) {
      // It is denied otherwise, as it is to a sandboxed frame.
      if (isHeld) throw thrown;
    }
    if (!isHeld) await this.#drain(user);
  }

  /** Tells one after the other, until none is left or one has to wait. */
  async #drain(user: string): Promise<void> {
    const isTheirs = () => this.#isReady && this.client.getConnectionInfo().userId === user;
    while (isTheirs()) {
      const entry = await this.#store.first(user);
      if (!entry) return;
      if (entry.expiresAt <= Date.now()) {
        await this.#store.remove(entry);
        this.#emitter.emit('expired', { entry });
        continue;
      }
      // Somebody else may have been connected while the store was asked.
      if (!isTheirs()) return;
      const ms = this.#pace.take(performance.now());
      if (ms > 0) return this.#goOnIn(ms);
      try {
        const result = await this.client.call(entry.name, entry.data, undefined, user);
        this.#failures = 0;
        await this.#store.remove(entry);
        this.#emitter.emit('sent', { entry, result });
      } catch (thrown) {
        const error = RealtimeError.from(thrown);
        const what = outcome(error);
        if (what === 'wait') return;
        if (what === 'retry') {
          this.#notBefore = { user, at: performance.now() + told(error) };
          return this.#goOnIn(retryDelay(++this.#failures, error, Math.random));
        }
        this.#failures = 0;
        await this.#store.remove(entry);
        this.#emitter.emit('failed', { entry, error });
      }
    }
  }
}

/** Hears of users for whom something was added in another tab. A page may be forbidden even that. */
function channel(added: (user: string) => void): BroadcastChannel | undefined {
  try {
    const channel = new BroadcastChannel('avalo-outbox');
    channel.onmessage = ({ data }) => added(data);
    // Where there are no tabs, a process that has nothing else to do may end.
    (channel as { unref?(): void }).unref?.();
    return channel;
  } catch {
    return undefined;
  }
}

/** IndexedDB; a page may be forbidden it, and then even looking at it throws. */
function durable(): OutboxStore | undefined {
  try {
    return globalThis.indexedDB && new IndexedDBStore(globalThis.indexedDB);
  } catch {
    return undefined;
  }
}
