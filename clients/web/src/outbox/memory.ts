import type { Entry, NewEntry, OutboxStore } from './entry.js';

/** Entries that end with the page. */
export class MemoryStore implements OutboxStore {
  #entries: Entry[] = [];
  #last = 0;

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  async add(entry: NewEntry, max: number): Promise<boolean> {
    const others = this.#entries.filter(one => one.user !== entry.user || !entry.key || one.key !== entry.key);
    if (others.filter(one => one.user === entry.user).length >= max) return false;
    this.#entries = [...others, { ...entry, seq: ++this.#last }];
    return true;
  }

  async first(user: string): Promise<Entry | undefined> {
    return this.#entries.find(one => one.user === user);
  }

  async all(user: string): Promise<Entry[]> {
    return this.#entries.filter(one => one.user === user);
  }

  async remove({ seq }: Entry): Promise<void> {
    this.#entries = this.#entries.filter(one => one.seq !== seq);
  }
}
