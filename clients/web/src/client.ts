import { Calls, connectFirst } from './calls/calls.js';
import type { Caller } from './calls/http.js';
import { TypingThrottle } from './calls/typing.js';
import { Acks } from './delivery/acks.js';
import { Emitter } from './delivery/emitter.js';
import { Inbox } from './delivery/inbox.js';
import { type Environment, keep, newID, recall, surroundings } from './environment.js';
import { RealtimeError } from './errors.js';
import { Runner } from './session/runner.js';
import { stateOf, Waiting } from './session/state.js';
import { Tokens } from './session/tokens.js';
import { Subscriptions } from './subscriptions.js';
import type * as calls from './types/calls.js';
import {
  type ConnectionInfo, ConnectionState, type Listener, type RealtimeEventMap, type TransportName,
} from './types/client.js';
import type { Platform, UserPresence } from './types/events.js';
import type { ConnectRequest, ReadyFrame, ServerFrame } from './types/frames.js';
import type { ClientOptions, TokenSource } from './types/options.js';

const invalid = (name: keyof ClientOptions, options: ClientOptions) =>
  new RealtimeError('INVALID_ARGUMENT', `${name} cannot be ${options[name]}`);

const deviceKey = 'avalo.deviceId';

/**
 * A connection to Avalo Realtime that looks after itself: it comes back after any loss where it was, hands each event to
 * its listeners once, and acknowledges what they have seen.
 *
 * ```ts
 * const client = new RealtimeWebSocketClient({ url: 'https://rt.example.com' });
 * client.on(RealtimeEventType.CHAT_MESSAGE, event => show(event.payload));
 * await client.connect(userId, ({ forceRefresh }) => auth.currentUser.getIdToken(forceRefresh));
 * ```
 */
export class RealtimeWebSocketClient {
  readonly deviceId: string;
  readonly #options: ClientOptions;
  readonly #environment: Environment;
  readonly #caller: Caller;
  readonly #runner: Runner;
  readonly #calls: Calls;
  readonly #typing = new TypingThrottle();
  readonly #emitter = new Emitter<RealtimeEventMap & { state: [ConnectionState, ConnectionInfo] }>(thrown => this.#complain(thrown));
  readonly #subscriptions: Subscriptions;
  readonly #tokens = new Tokens();
  #inbox: Inbox | undefined;
  #userId: string | null = null;
  #connectionId: string | null = null;
  #state: ConnectionState = ConnectionState.DISCONNECTED;
  readonly #waiting = new Waiting();
  #unwatch: (() => void) | undefined;

  constructor(options: ClientOptions = {}) {
    const environment = (this.#environment = { ...surroundings(), ...options.environment });
    this.#options = options;
    if (!/^https?:/.test(options.url ?? 'http:')) throw invalid('url', options);
    const url = (options.url ?? (globalThis as any).location?.origin ?? '').replace(/\/+$/, '');
    this.#caller = { environment, url, callable: options.callable };
    const numbers = { reconnectInterval: 3000, maxReconnectAttempts: 10, pingInterval: 25_000, callTimeout: 10_000 };
    for (const name of Object.keys(numbers) as (keyof typeof numbers)[]) {
      numbers[name] = options[name] ?? numbers[name];
      if (!(numbers[name] >= 0)) throw invalid(name, options);
    }
    this.#runner = new Runner(numbers, this.#caller, {
      tokens: this.#tokens,
      request: name => this.#request(name),
      ready: ready => this.#ready(ready),
      frame: frame => this.#frame(frame),
      lost: () => this.#lost(),
      changed: () => this.#changed(),
      log: (message, facts) => options.debug && console.debug(`[avalo] ${message}`, facts ?? ''),
    });
    this.#calls = new Calls(this.#caller, this.#tokens, this.#runner, numbers.callTimeout, () => this.#userId);
    this.#subscriptions = new Subscriptions(options.subscriptions ?? [], {
      isDuplex: () => this.#runner.isDuplex,
      join: topics => this.#join(topics),
      leave: topics => this.#calls.overSocket('unsubscribe', { subscriptions: topics }),
      reopen: () => {
        this.#run(machine => machine.reopen());
        return this.#waiting.add();
      },
    });
    this.deviceId = options.deviceId ?? recall(environment.local, deviceKey) ?? newID('dev_', environment.random);
    if (!options.deviceId) keep(environment.local, deviceKey, this.deviceId);
  }

  /**
   * Connects, and stays connected until `disconnect`. Without arguments: as last time. Called again while it connects it
   * waits for the same connection; with another token it goes on with that one.
   *
   * @returns when events are coming in
   * @throws RealtimeError when that will not be: refused, given up, or disconnected meanwhile
   */
  connect(userId = this.#userId, token = this.#tokens.source): Promise<void> {
    if (!userId || (token === undefined && !this.#caller.callable)) return Promise.reject(connectFirst());
    if (userId !== this.#userId) {
      this.disconnect();
      this.#userId = userId;
      this.#tokens.forget();
      this.#inbox = this.#inboxOf(userId);
    }
    const isSame = token === this.#tokens.source;
    const { phase } = this.#runner.machine;
    if (phase === 'connected') {
      if (!isSame) this.setToken(token!);
      return Promise.resolve();
    }
    this.#tokens.source = token;
    const connected = this.#waiting.add();
    this.#unwatch ??= this.#environment.watch(event => this.#page(event));
    // Single-flight: one attempt at a time, whoever asks for it.
    if (!isSame || (phase !== 'token' && phase !== 'opening')) {
      this.#run(machine => machine.connect(this.#tokens.isRefreshable, this.#environment.isOnline()));
    }
    return connected;
  }

  /** Ends the connection; nothing comes back until `connect`. */
  disconnect(): void {
    this.#inbox?.acks.flush();
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#run(machine => machine.disconnect());
  }

  /** Goes on with another token; also after the last one was refused. */
  setToken(token: TokenSource): void {
    const isConnected = this.#runner.isDuplex !== undefined;
    this.#tokens.source = token;
    this.#run(machine => machine.newToken(this.#tokens.isRefreshable));
    if (isConnected) void this.#refresh(false);
  }

  /** Listens to events of a type, or to what the client says of itself. Answers how to stop that. */
  on<Name extends keyof RealtimeEventMap>(name: Name, listener: Listener<RealtimeEventMap[Name]>): () => void {
    return this.#emitter.on(name, listener);
  }

  off<Name extends keyof RealtimeEventMap>(name: Name, listener: Listener<RealtimeEventMap[Name]>): void {
    this.#emitter.off(name, listener);
  }

  /** Hears of each change of state, with what else is known then. Answers how to stop that. */
  onStateChange(listener: (state: ConnectionState, info: ConnectionInfo) => void): () => void {
    return this.#emitter.on('state', ([state, info]) => listener(state, info));
  }

  getState(): ConnectionState {
    return this.#state;
  }

  /** Round trip in milliseconds; `null` before the first. */
  getLatency(): number | null {
    return this.#runner.roundTrip;
  }

  getConnectionInfo(): ConnectionInfo {
    const { reason, attempts } = this.#runner.machine;
    return {
      connectionId: this.#connectionId, userId: this.#userId, deviceId: this.deviceId, state: this.#state, reason,
      latency: this.getLatency(), reconnectAttempts: attempts, transport: this.#runner.ladder.rung,
    };
  }

  /**
   * Adds topics, now and for every later connection. One that was denied or has ended is asked for again.
   *
   * @returns what the server granted; nothing where `ready` tells: while there is no connection, and over a stream or polls,
   *   which are made again with the new topics
   * @throws RealtimeError PERMISSION_DENIED when it granted none of them; `denied` tells that of each, as when it granted some
   */
  subscribe(topics: string | string[]): Promise<calls.SubscribeResult> {
    return this.#subscriptions.add([topics].flat());
  }

  unsubscribe(topics: string | string[]): Promise<void> {
    const names = [topics].flat();
    for (const topic of names) this.#inbox?.positions.forget(topic);
    return this.#subscriptions.remove(names);
  }

  /**
   * Hears how users are: first how each is now, then each change, as `presence_update` events. At most 1 000 users.
   *
   * @returns a function that ends it
   */
  watchPresence(userIds: string | string[], listener?: Listener<RealtimeEventMap['presence_update']>): () => void {
    const topics = [userIds].flat().map(user => `presence:${user}`);
    const off = listener && this.on('presence_update', event => topics.includes(event.topic!) && listener(event));
    let isOver = false;
    // Those whom somebody watches already are not told again by the server.
    const known = topics.map(topic => this.#subscriptions.has(topic) && this.#inbox!.presence.get(topic));
    this.#subscriptions.add(topics, 1).catch(thrown => this.#complain(thrown));
    Promise.resolve().then(() => {
      for (const event of known) if (event && !isOver) listener?.({ ...event, snapshot: true });
    }).catch(thrown => this.#complain(thrown));
    return () => {
      if (isOver) return;
      isOver = true;
      off?.();
      // Lost on the way, it is made good by the next connection.
      this.#subscriptions.remove(topics, 1).catch(() => {});
    };
  }

  /** Says how the user is. */
  updatePresence(presence: calls.PresenceUpdate): Promise<calls.OwnPresence> {
    return this.call('updatePresenceV1', presence);
  }

  /** How users are now, by their ids. At most 1 000. */
  async getPresence(userIds: string[]): Promise<Record<string, UserPresence>> {
    return (await this.call<{ presence: Record<string, UserPresence> }>('getPresenceV1', { userIds })).presence;
  }

  /**
   * Says that the user types, or has stopped. Call it with every key press: what need not go out does not.
   *
   * @throws RealtimeError which a key handler has nothing to do about: `.catch(() => {})`
   */
  async sendTyping(chatId: string, isTyping = true): Promise<void> {
    if (this.#typing.take(chatId, isTyping, this.#environment.now())) await this.call('sendTypingIndicatorV1', { chatId, isTyping });
  }

  /** The user has read the chat up to that message. */
  sendReadReceipt(chatId: string, messageId: string): Promise<calls.ReadResult> {
    return this.call('sendReadReceiptV1', { chatId, messageId, requestId: newID('req_', this.#environment.random) });
  }

  /** The user has read all of the chat. */
  markChatAsRead(chatId: string): Promise<calls.ReadResult> {
    return this.call('markChatAsReadV1', { chatId, requestId: newID('req_', this.#environment.random) });
  }

  /** Publishes to a topic whose members may. Tried again, by whatever way, it is kept once. */
  publish(event: calls.EventDraft): Promise<calls.PublishResult> {
    const { eventId = newID('evt_', this.#environment.random) } = event;
    return this.call<calls.PublishResult>('publishRealtimeEvent', { ...event, eventId }).catch(thrown => {
      if (thrown.isTransient || thrown.code === 'CANCELLED') thrown.eventId = eventId;
      throw thrown;
    });
  }

  /**
   * Calls any function of the server: over the socket, or over HTTP while there is none or when it is lost before the answer.
   *
   * @param ms milliseconds that one attempt may take; the option `callTimeout` unless it is said
   * @param user whose call it is: CANCELLED when another one is connected. The user of this moment unless it is said
   * @throws RealtimeError
   */
  call<Result = any>(name: string, data: unknown, ms?: number, user?: string): Promise<Result> {
    return this.#calls.call(name, data, ms, user);
  }

  // MARK: - What the runner asks and tells

  /** What comes in for a user; it acknowledges on that user's connections alone. */
  #inboxOf(userId: string): Inbox {
    const key = `avalo.positions.${userId}`;
    const { positions } = this.#options;
    const acks = new Acks(this.#environment, all => {
      if (positions) keep(positions, key, String(inbox.positions));
      if (inbox !== this.#inbox || this.#runner.isDuplex === undefined) return false;
      this.#runner.send({ ack: all });
      return true;
    });
    const inbox = new Inbox(userId, recall(positions, key), this.#emitter, acks);
    return inbox;
  }

  #run(input: Parameters<Runner['run']>[0]): void {
    this.#runner.run(input);
  }

  /** Gives the connection a new token; one that takes none is made again with it. */
  async #refresh(force: boolean): Promise<void> {
    const { machine } = this.#runner;
    const { generation } = machine;
    try {
      const token = await this.#tokens.get(force);
      // Another source, set meanwhile, has the later one.
      if (!token || token !== this.#tokens.last || machine.generation !== generation) return;
      if (this.#runner.isDuplex) this.#runner.send({ connect: { token } });
      else this.#run(() => machine.reopen());
    } catch (thrown) {
      this.#complain(thrown);
    }
  }

  #request(transport: TransportName): ConnectRequest {
    const subscriptions = this.#subscriptions.request(`user:${this.#userId}`, transport);
    const inbox = this.#inbox!;
    const platform: Platform = this.#options.platform ?? 'web';
    const request: ConnectRequest = {
      deviceId: this.deviceId, platform, subscriptions, get positions() { return inbox.positions.of(subscriptions); },
    };
    inbox.began(subscriptions, Object.keys(request.positions));
    return request;
  }

  #ready(ready: ReadyFrame): void {
    const { connectionId } = ready;
    this.#connectionId = connectionId;
    this.#subscriptions.ready(`user:${this.#userId}`, ready.subscriptions);
    this.#granted('ready', ready, { connectionId });
  }

  async #join(topics: string[]): Promise<calls.SubscribeResult> {
    const data = { subscriptions: topics, positions: this.#inbox!.positions.of(topics) };
    this.#inbox!.joining(topics);
    const answer = await this.#calls.overSocket('subscribeToRealtimeEventsV1', data).catch(thrown => {
      const { code } = thrown as RealtimeError;
      // Where nothing is granted, it is the call that is refused.
      if (code === 'PERMISSION_DENIED') for (const topic of topics) this.#emitter.emit('denied', { topic, code });
      throw thrown;
    });
    return this.#granted('subscribed', answer, {});
  }

  /** Tells what was granted to a new connection, or to one that there is. */
  #granted<More extends object>(
    name: 'ready' | 'subscribed', { subscriptions, denied, unread, receipts }: ReadyFrame, more: More,
  ): calls.SubscribeResult & More {
    // A listener may connect somebody else.
    const inbox = this.#inbox!;
    const result = { ...more, subscriptions, denied, ...(unread && { unread }) };
    this.#emitter.emit(name, result as RealtimeEventMap[typeof name] & More);
    for (const one of denied) this.#emitter.emit('denied', one);
    inbox.receipts(receipts);
    return result;
  }

  #frame(frame: ServerFrame): void {
    if (frame.unsubscribed) this.#subscriptions.ended([frame.unsubscribed.topic]);
    // Of a connection that goes on: its topics are those that it began with.
    if (frame.ready) this.#inbox!.receipts(frame.ready.receipts);
    if (this.#calls.inFlight.take(frame) || this.#inbox!.take(frame)) return;
    if (frame.expiring && this.#tokens.isRefreshable) void this.#refresh(true);
  }

  #lost(): void {
    this.#connectionId = null;
    this.#inbox?.acks.flush();
    this.#calls.inFlight.lost();
  }

  #changed(): void {
    const { machine } = this.#runner;
    const state = stateOf(machine);
    this.#waiting.settle(state, machine);
    if (state === this.#state) return;
    this.#state = state;
    this.#emitter.emit('state', [state, this.getConnectionInfo()]);
  }

  #page(event: 'online' | 'offline' | 'wake' | 'leave'): void {
    if (event !== 'leave') return this.#run(machine => machine[event]());
    this.#inbox?.acks.flush();
    this.#runner.leave();
  }

  #complain(thrown: unknown): void {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    // Nobody who listens for errors: they are told where errors are looked for.
    if (!this.#emitter.emit('error', error)) console.error('[avalo]', error);
  }
}
