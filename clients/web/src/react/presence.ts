import type { RealtimeWebSocketClient } from '../client.js';
import type { PresencePayload } from '../types/events.js';

export type Presence = Readonly<Record<string, PresencePayload | undefined>>;

export const nobodyKnown: Presence = {};

/** How some users are, as one user is told. */
export class PresenceBook {
  value = nobodyKnown;

  /** @param before what was known for another list of users: of those who are in this one, too, it is not forgotten */
  constructor(
    readonly client: RealtimeWebSocketClient, readonly viewer: string | null, private readonly users: readonly string[],
    before?: PresenceBook,
  ) {
    if (before?.client !== client || before.viewer !== viewer) return;
    this.value = Object.fromEntries(Object.entries(before.value).filter(([user]) => users.includes(user)));
  }

  /** Watches until the answered function is called. */
  watch(tell: () => void): () => void {
    if (this.viewer === null || !this.users.length) return () => {};
    return this.client.watchPresence([...this.users], ({ payload, targetUserId }) => {
      // What comes between a rendering and the client's being told of it is of the user before.
      if (targetUserId !== this.viewer) return;
      this.value = { ...this.value, [payload.userId]: payload };
      tell();
    });
  }
}
