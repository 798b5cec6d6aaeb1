/**
 * What comes in: frames of any transport become events for the listeners, each once, and then acknowledgements. An event is
 * processed when its listeners have run; only then its position counts.
 */
import type { RealtimeEventMap } from '../types/client.js';
import type { PresencePayload, RealtimeEvent, RealtimeEventType } from '../types/events.js';
import type { EventFrame, Receipt, ServerFrame } from '../types/frames.js';
import type { Acks } from './acks.js';
import type { Emitter } from './emitter.js';
import { Positions } from './positions.js';
import { Recent } from './recent.js';
import { presenceMax, seenMax, versionsMax } from '../limits.js';

export class Inbox {
  positions: Positions;
  /**
   * Events that were handed on, by topic, offset and id: one that overtook, and what a restored log has again under a new epoch.
   * An id alone may be another topic's or another publisher's as well.
   */
  #seen = new Recent<true>(seenMax);
  /** How users were last told to be, by topic. */
  readonly presence = new Recent<RealtimeEvent<PresencePayload, 'presence_update'>>(presenceMax);
  /** Versions of keyed state that were handed on. */
  #versions = new Recent<number>(versionsMax);
  /** Topics whose replay is not over. */
  #replaying = new Set<string>();
  /** Those of them that are resumed, with the number of events that came so far. */
  #resuming = new Map<string, number>();

  constructor(
    private readonly userId: string, positions: string | null, private readonly emitter: Emitter<RealtimeEventMap>,
    readonly acks: Acks,
  ) {
    this.positions = new Positions(positions);
  }

  /** A new connection begins with these topics, and some of their positions presented. */
  began(topics: Iterable<string>, presented: Iterable<string>): void {
    this.#replaying = new Set(topics);
    this.#resuming = new Map([...presented].map(topic => [topic, 0]));
    // Presence is told anew on each connection, and may have forgotten its count.
    this.#versions.drop(key => key.startsWith('presence:'));
  }

  /** Topics are added to the connection. */
  joining(topics: Iterable<string>): void {
    for (const topic of topics) this.#replaying.add(topic);
  }

  /** Takes a frame if it is one of delivery; answers whether it was. */
  take(frame: ServerFrame): boolean {
    if (frame.event) this.#event(frame as EventFrame);
    else if (frame.gap) {
      this.#gap(frame.gap);
      this.acks.add(frame.gap.topic, this.positions.skip(frame.gap));
    } else if (frame.live) {
      this.positions.live(frame.live);
      const { topic } = frame.live;
      this.#replaying.delete(topic);
      const events = this.#resuming.get(topic);
      if (this.#resuming.delete(topic)) {
        // What was acknowledged may have been lost with the connection it was sent on.
        this.acks.add(topic, this.positions.of([topic])[topic]);
        this.emitter.emit('recovered', { topic, events: events! });
      }
    } else if (frame.unsubscribed) {
      this.positions.forget(frame.unsubscribed.topic);
      this.emitter.emit('unsubscribed', frame.unsubscribed);
    } else return false;
    return true;
  }

  /** Receipts that a new connection or subscription brings, handed on like those that come live. */
  receipts(receipts: Receipt[] = []): void {
    for (const { version, ...payload } of receipts) {
      const event = {
        eventId: `receipt_${payload.chatId}_${payload.userId}_${version}`, type: 'read_receipt' as const,
        sourceUserId: payload.userId, payload, timestamp: payload.readAt,
      };
      this.#event({ event, topic: `chat:${payload.chatId}`, version, snapshot: true });
    }
  }

  #event(frame: EventFrame): void {
    const { topic, offset } = frame;
    if (offset === undefined) {
      if (this.#isNewer(frame)) this.#handOn(frame);
      return;
    }
    // Ahead of the event, as it lies before it.
    if (frame.skipped) this.#gap({ topic, ...frame.skipped });
    const events = this.#resuming.get(topic);
    if (events !== undefined && !frame.ahead) this.#resuming.set(topic, events + 1);
    if (this.positions.isPast(frame)) return;
    if (this.#seen.add(`${topic} ${offset} ${frame.event.eventId}`, true)) this.#handOn(frame);
    this.acks.add(topic, this.positions.processed(frame));
  }

  #handOn({ event, topic, offset, ahead, snapshot }: EventFrame): void {
    const whole: RealtimeEvent<any, any> = {
      ...event, targetUserId: event.targetUserId ?? this.userId, topic,
      ...(offset !== undefined && { offset, ...(this.#replaying.has(topic) && { replay: true }) }),
      ...(ahead && { ahead }), ...(snapshot && { snapshot }),
    };
    if (topic.startsWith('presence:')) this.presence.set(topic, whole);
    this.emitter.emit(whole.type as RealtimeEventType, whole);
    this.emitter.emit('event', whole);
  }

  /** Of two states of one thing the higher version counts; what has no version always does. */
  #isNewer({ event, topic, version, snapshot }: EventFrame): boolean {
    if (version === undefined) return true;
    const { chatId, userId } = event.payload as { chatId?: string; userId?: string };
    const key = event.type === 'read_receipt' ? `read:${chatId}:${userId}` : topic;
    const known = this.#versions.get(key) ?? -1;
    if (version < known || (version === known && !(snapshot && key === topic))) return false;
    this.#versions.set(key, version);
    return true;
  }

  #gap(gap: NonNullable<ServerFrame['gap']>): void {
    this.#resuming.delete(gap.topic);
    this.emitter.emit('gap', gap);
  }
}
