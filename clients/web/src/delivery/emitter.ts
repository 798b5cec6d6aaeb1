import type { Listener } from '../types/client.js';

/** Listeners by name. One that throws stops no other: what it threw goes to `failed`, or of one for errors to the console. */
export class Emitter<Events extends object> {
  #listeners = new Map<PropertyKey, Set<Listener<any>>>();

  constructor(private readonly complain: (thrown: unknown) => void) {}

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
        // To be told of it would have it throw again.
        if (name === 'error') console.error('[avalo]', thrown);
        else this.complain(thrown);
      }
    }
    return listeners.length;
  }
}
