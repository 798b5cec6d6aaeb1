/** Keeps what is subscribed to on the connection the same as what is wanted. */
import type { RealtimeError } from './errors.js';
import { streamTopicsMax } from './limits.js';
import { Topics } from './topics.js';
import type { SubscribeResult } from './types/calls.js';
import type { TransportName } from './types/client.js';

export interface SubscriptionHooks {
  /** `duplex`: topics come and go by calls; `fixed`: a connection has those it began with. */
  connection(): 'none' | 'duplex' | 'fixed';
  join(topics: string[]): Promise<SubscribeResult>;
  leave(topics: string[]): Promise<unknown>;
  /** Makes the connection again. Answers when it is there. */
  reopen(): Promise<void>;
}

const nothing: SubscribeResult = { subscriptions: [], denied: [] };

export class Subscriptions {
  readonly #topics: Topics;
  /** What the connection was opened with, and over what. */
  #requested: string[] = [];
  #transport: TransportName = 'websocket';
  /** Go into one call at the end of this turn. */
  #joining = new Set<string>();
  #joined: Promise<SubscribeResult> | undefined;

  constructor(first: Iterable<string>, private readonly hooks: SubscriptionHooks) {
    this.#topics = new Topics(first);
  }

  /** The topics to open a connection with. */
  request(inbox: string, transport: TransportName): string[] {
    this.#transport = transport;
    this.#requested = [];
    return (this.#requested = this.#carried([...new Set([inbox, ...this.#topics.all()])]));
  }

  /**
   * Those of the topics that the transport can have beside what it has. A poll would be answered at once, again and again, with
   * how somebody is.
   */
  #carried(topics: string[]): string[] {
    if (this.#transport === 'websocket') return topics;
    const apart = this.#transport === 'poll' ? topics.filter(topic => !topic.startsWith('presence:')) : topics;
    return apart.slice(0, Math.max(0, streamTopicsMax - this.#requested.length));
  }

  /** The connection is there; what was wanted or not while it was made is made good. */
  ready(inbox: string): void {
    const missing = this.#topics.all().filter(topic => !this.#requested.includes(topic));
    const left = this.#requested.filter(topic => topic !== inbox && !this.#topics.has(topic));
    void this.#join(missing).catch(() => {});
    void this.#leave(left).catch(() => {});
  }

  add(topics: string[]): Promise<SubscribeResult> {
    const fresh = topics.filter(topic => !this.#topics.has(topic));
    this.#topics.add(topics);
    return this.#join(fresh);
  }

  remove(topics: string[]): Promise<void> {
    this.#topics.remove(topics);
    return this.#leave(topics);
  }

  watch(topics: string[]): Promise<SubscribeResult> {
    return this.#join(this.#topics.watch(topics));
  }

  unwatch(topics: string[]): Promise<void> {
    return this.#leave(this.#topics.unwatch(topics));
  }

  #join(topics: string[]): Promise<SubscribeResult> {
    const carried = this.#carried(topics);
    if (!carried.length || this.hooks.connection() === 'none') return Promise.resolve(nothing);
    for (const topic of carried) this.#joining.add(topic);
    return (this.#joined ??= Promise.resolve().then(() => this.#joinNow()));
  }

  async #joinNow(): Promise<SubscribeResult> {
    const topics = [...this.#joining].filter(topic => this.#topics.has(topic));
    this.#joining.clear();
    this.#joined = undefined;
    const connection = this.hooks.connection();
    if (!topics.length || connection === 'none') return nothing;
    try {
      if (connection === 'duplex') return await this.hooks.join(topics);
      await this.hooks.reopen();
      return nothing;
    } catch (thrown) {
      // The connection was lost: the next one begins with these topics.
      if ((thrown as RealtimeError).code === 'CANCELLED') return nothing;
      throw thrown;
    }
  }

  async #leave(topics: string[]): Promise<void> {
    const connection = topics.length ? this.hooks.connection() : 'none';
    if (connection === 'fixed') await this.hooks.reopen();
    else if (connection === 'duplex') await this.hooks.leave(topics);
  }
}
