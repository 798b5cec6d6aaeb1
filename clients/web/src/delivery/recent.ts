/** The newest of something, by key, and no more than so many: the oldest are forgotten. */
export class Recent<Value> {
  #entries = new Map<string, Value>();

  constructor(private readonly max: number) {}

  get(key: string): Value | undefined {
    return this.#entries.get(key);
  }

  set(key: string, value: Value): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size > this.max) this.#entries.delete(this.#entries.keys().next().value as string);
  }

  /** Remembers the key; false when it was known. */
  add(key: string, value: Value): boolean {
    const isNew = !this.#entries.has(key);
    this.set(key, value);
    return isNew;
  }

  /** Forgets what matches. */
  drop(matches: (key: string) => boolean): void {
    for (const key of [...this.#entries.keys()]) if (matches(key)) this.#entries.delete(key);
  }
}
