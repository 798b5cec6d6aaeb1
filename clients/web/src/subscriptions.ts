/** Keeps what is subscribed to on the connection the same as what is wanted. */
import type { RealtimeError } from './errors.js';
import { streamTopicsMax } from './limits.js';
import type { SubscribeResult } from './types/calls.js';
import type { TransportName } from './types/client.js';

export interface SubscriptionHooks {
  /** True: topics come and go by calls; false: a connection has those it began with; nothing: there is none. */
  isDuplex(): boolean | undefined;
  join(topics: string[]): Promise<SubscribeResult>;
  leave(topics: string[]): Promise<unknown>;
  /** Makes the connection again. Answers when it is there. */
  reopen(): Promise<void>;
}

const nothing: SubscribeResult = { subscriptions: [], denied: [] };

/** A connection that was lost is no failure: the next one begins with what is wanted by then. */
function unlessLost(thrown: unknown): SubscribeResult {
  if ((thrown as RealtimeError).code === 'CANCELLED') return nothing;
  throw thrown;
}

export class Subscriptions {
  /** Watched topics are counted, by who watches; those that are wanted without are there for ever. */
  #wanted = new Map<string, number>();
  /** What the connection was opened with, and over what. */
  #requested: string[] = [];
  #transport: TransportName = 'websocket';
  /** What the connection has, or is being asked for. */
  #has = new Set<string>();
  /** Go into one call at the end of this turn. */
  #joining = new Set<string>();
  #joined: Promise<SubscribeResult> | undefined;

  constructor(first: string[], private readonly hooks: SubscriptionHooks) {
    this.#count(first, Infinity);
  }

  /** The topics to open a connection with. */
  request(inbox: string, transport: TransportName): string[] {
    this.#transport = transport;
    this.#requested = [];
    this.#has.clear();
    return (this.#requested = this.#carried([...new Set([inbox, ...this.#wanted.keys()])]));
  }

  /**
   * Those of the topics that the transport can have beside what it has. A poll would be answered at once, again and again, with
   * how somebody is.
   */
  #carried(topics: string[]): string[] {
    if (this.#transport === 'websocket') return topics;
    const apart = this.#transport === 'poll' ? topics.filter(topic => !topic.startsWith('presence:')) : topics;
    let room = streamTopicsMax - this.#requested.length;
    return apart.filter(topic => this.#requested.includes(topic) || room-- > 0);
  }

  /** The connection is there; what was wanted or not while it was made is made good when that is known everywhere. */
  ready(inbox: string, granted: string[]): void {
    this.#has = new Set(granted);
    queueMicrotask(() => {
      const missing = [...this.#wanted.keys()].filter(topic => !this.#requested.includes(topic));
      const left = this.#requested.filter(topic => topic !== inbox && !this.#wanted.has(topic));
      void this.#join(missing).catch(() => {});
      void this.#leave(left).catch(() => {});
    });
  }

  /** Whether the connection has it, or is being asked for it. */
  has(topic: string): boolean {
    return this.#has.has(topic);
  }

  /** The connection has these no more, or never had. */
  ended(topics: string[]): void {
    for (const topic of topics) this.#has.delete(topic);
  }

  add(topics: string[], by = Infinity): Promise<SubscribeResult> {
    this.#count(topics, by);
    return this.#join(topics);
  }

  remove(topics: string[], by = Infinity): Promise<void> {
    return this.#leave(this.#count(topics, -by));
  }

  /** Answers those that nobody wants any more. */
  #count(topics: string[], by: number): string[] {
    return topics.filter(topic => {
      const left = (this.#wanted.get(topic) ?? 0) + by;
      if (left > 0) this.#wanted.set(topic, left);
      // Taken away, whoever watches: that is no number.
      else this.#wanted.delete(topic);
      return !(left > 0);
    });
  }

  #join(topics: string[]): Promise<SubscribeResult> {
    const carried = this.#carried(topics.filter(topic => !this.#has.has(topic)));
    if (!carried.length || this.hooks.isDuplex() === undefined) return Promise.resolve(nothing);
    for (const topic of carried) this.#joining.add(topic);
    return (this.#joined ??= Promise.resolve().then(() => this.#joinNow()));
  }

  async #joinNow(): Promise<SubscribeResult> {
    const topics = [...this.#joining].filter(topic => this.#wanted.has(topic));
    this.#joining.clear();
    this.#joined = undefined;
    const isDuplex = this.hooks.isDuplex();
    if (!topics.length || isDuplex === undefined) return nothing;
    try {
      if (!isDuplex) {
        await this.hooks.reopen();
        return nothing;
      }
      for (const topic of topics) this.#has.add(topic);
      const result = await this.hooks.join(topics);
      this.ended(result.denied.map(({ topic }) => topic));
      return result;
    } catch (thrown) {
      this.ended(topics);
      return unlessLost(thrown);
    }
  }

  async #leave(topics: string[]): Promise<void> {
    this.ended(topics);
    const isDuplex = topics.length ? this.hooks.isDuplex() : undefined;
    if (isDuplex) await this.hooks.leave(topics).catch(unlessLost);
    // One that is not carried ends nothing.
    else if (isDuplex === false && topics.some(topic => this.#requested.includes(topic))) await this.hooks.reopen();
  }
}
