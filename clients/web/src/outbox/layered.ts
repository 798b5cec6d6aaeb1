import type { Entry, NewEntry, OutboxStore } from './entry.js';
import { MemoryStore } from './memory.js';

/**
 * A store that may be full, or forbidden, over one that always has room: what the first does not take is kept in memory, behind
 * what the first has. As long as there is something in memory, more goes there, so that nothing overtakes.
 */
export class LayeredStore implements OutboxStore {
  #memory = new MemoryStore();
  #mine = new WeakSet<Entry>();
  /** The last entry is in its place. */
  #added: Promise<unknown> = Promise.resolve();
  #hasFailed = false;

  /** @param failed is told why memory stands in: once, until the durable store has taken something again */
  constructor(private readonly durable: OutboxStore | undefined, private readonly failed: (thrown: unknown) => void) {}

  /** One after the other: where an entry goes depends on where the one before it went. */
  add(entry: NewEntry, max: number): Promise<boolean> {
    const added = this.#added.then(() => this.#add(entry, max));
    this.#added = added.catch(() => {});
    return added;
  }

  async #add(entry: NewEntry, max: number): Promise<boolean> {
    if (!this.durable) this.#fail(new Error('there is no durable store'));
    else if (this.#memory.isEmpty) {
      try {
        const hasRoom = await this.durable.add(entry, max);
        this.#hasFailed = false;
        return hasRoom;
      } catch (thrown) {
        this.#fail(thrown);
      }
    }
    return this.#memory.add(entry, max);
  }

  async first(user: string): Promise<Entry | undefined> {
    return (await this.#durably(store => store.first(user))) ?? this.#own(await this.#memory.first(user));
  }

  async all(user: string): Promise<Entry[]> {
    return [...((await this.#durably(store => store.all(user))) ?? []), ...(await this.#memory.all(user))];
  }

  async remove(entry: Entry): Promise<void> {
    if (this.#mine.has(entry)) return this.#memory.remove(entry);
    // It must not be sent for ever: who cannot take it away has to stop.
    await this.durable?.remove(entry);
  }

  #own(entry: Entry | undefined): Entry | undefined {
    if (entry) this.#mine.add(entry);
    return entry;
  }

  async #durably<T>(body: (store: OutboxStore) => Promise<T>): Promise<T | undefined> {
    try {
      return this.durable && (await body(this.durable));
    } catch (thrown) {
      this.#fail(thrown);
      return undefined;
    }
  }

  #fail(thrown: unknown): void {
    if (!this.#hasFailed) this.failed(thrown);
    this.#hasFailed = true;
  }
}
