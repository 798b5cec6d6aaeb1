import type { Listener } from '../types/client.js';

/** Listeners by name. One that throws stops no other: what it threw goes to `failed`. */
export class Emitter<Events extends object> {
  #listeners = new Map<keyof Events, Set<Listener<any>>>();

  constructor(private readonly failed: (thrown: unknown) => void) {}

  /** Answers a function that takes the listener away again. */
  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): () => void {
    let set = this.#listeners.get(name);
    if (!set) this.#listeners.set(name, (set = new Set()));
    set.add(listener);
    return () => this.off(name, listener);
  }

  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    this.#listeners.get(name)?.delete(listener);
  }

  /** Answers how many listened. */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): number {
    const listeners = [...(this.#listeners.get(name) ?? [])];
    for (const listener of listeners) {
      try {
        listener(event);
      } catch (thrown) {
        this.failed(thrown);
      }
    }
    return listeners.length;
  }
}
