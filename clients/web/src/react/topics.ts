import type { RealtimeWebSocketClient } from '../client.js';
import { type ErrorCode, RealtimeError } from '../errors.js';
import type { Denied } from '../types/client.js';
import { Lease } from './lease.js';
import { Retries } from './retries.js';

export const noneDenied: readonly Denied[] = [];

/** Topics that what is mounted needs, each for as long as anything does. One for all who ask of a client. */
export class TopicBook {
  #leases = new Map<string, Lease>();
  #denied = new Map<string, Denied>();
  /** To whom. */
  #user: string | null = null;
  #listeners = new Set<() => void>();
  #retries = new Retries(topic => this.#ask(topic));

  /** Listens for as long as the client lives. */
  constructor(private readonly client: RealtimeWebSocketClient) {
    const granted = ({ subscriptions }: { subscriptions: string[] }) => {
      for (const topic of subscriptions) this.#set(topic, undefined);
    };
    client.on('ready', granted);
    client.on('subscribed', granted);
    client.on('denied', denied => this.#set(denied.topic, denied));
    client.on('unsubscribed', ({ topic, code }) => this.#set(topic, { topic, code }));
  }

  /** Subscribes, unless somebody has; answers how to give that back. */
  take(topic: string): () => void {
    let lease = this.#leases.get(topic);
    if (lease) return lease.take();
    lease = new Lease(() => {
      this.#leases.delete(topic);
      this.#set(topic, undefined);
      // Lost on the way, it is made good by the next connection.
      this.client.unsubscribe(topic).catch(() => {});
    });
    this.#leases.set(topic, lease);
    this.#ask(topic);
    return lease.take();
  }

  #ask(topic: string): void {
    this.client.subscribe(topic).then(
      ({ denied }) => denied.forEach(one => this.#set(one.topic, one)),
      ({ code, retryAfterMs }: RealtimeError) => this.#set(topic, { topic, code }, retryAfterMs));
  }

  denied(topic: string, viewer: string): Denied | undefined {
    return viewer === this.#user ? this.#denied.get(topic) : undefined;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #set(topic: string, denied: Denied | undefined, retryAfterMs?: number): void {
    const { userId } = this.client.getConnectionInfo();
    if (userId !== this.#user) this.#denied.clear();
    this.#user = userId;
    // Topics of others are none of ours.
    const is = denied && this.#leases.has(topic) ? denied : undefined;
    if (is && new RealtimeError(is.code as ErrorCode, '').isTransient) this.#retries.add(topic, retryAfterMs);
    else this.#retries.end(topic);
    if (this.#denied.get(topic)?.code === is?.code) return;
    if (is) this.#denied.set(topic, is);
    else this.#denied.delete(topic);
    for (const listener of [...this.#listeners]) listener();
  }
}
