/** What a client wants to be subscribed to, beside its user's inbox. Watched topics are counted, by who watches. */
export class Topics {
  #wanted = new Set<string>();
  #watched = new Map<string, number>();

  constructor(first: Iterable<string>) {
    this.add(first);
  }

  add(topics: Iterable<string>): void {
    for (const topic of topics) this.#wanted.add(topic);
  }

  remove(topics: Iterable<string>): void {
    for (const topic of topics) {
      this.#wanted.delete(topic);
      this.#watched.delete(topic);
    }
  }

  /** Answers those that nobody watched before. */
  watch(topics: string[]): string[] {
    const fresh = topics.filter(topic => !this.has(topic));
    for (const topic of topics) this.#watched.set(topic, (this.#watched.get(topic) ?? 0) + 1);
    return fresh;
  }

  /** Answers those that nobody wants any more. */
  unwatch(topics: string[]): string[] {
    for (const topic of topics) {
      const left = (this.#watched.get(topic) ?? 1) - 1;
      if (left > 0) this.#watched.set(topic, left);
      else this.#watched.delete(topic);
    }
    return topics.filter(topic => !this.has(topic));
  }

  has(topic: string): boolean {
    return this.#wanted.has(topic) || this.#watched.has(topic);
  }

  all(): string[] {
    return [...new Set([...this.#wanted, ...this.#watched.keys()])];
  }
}
