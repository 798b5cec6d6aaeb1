import { backoffMax, retryAfterMax, topicRetry } from '../limits.js';

/** When topics that failed for the time being are asked for again: later each time, and not all clients at once. */
export class Retries {
  #all = new Map<string, { failures: number; timer?: ReturnType<typeof setTimeout> | undefined }>();

  constructor(private readonly again: (topic: string) => void) {}

  /** One that waits already waits on. @param retryAfterMs as the server said, if it did */
  add(topic: string, retryAfterMs?: number): void {
    const one = this.#all.get(topic) ?? { failures: 0 };
    this.#all.set(topic, one);
    if (one.timer !== undefined) return;
    const half = Math.min(backoffMax, topicRetry * 2 ** one.failures++) / 2;
    const ms = Math.min(retryAfterMax, retryAfterMs ?? half) + Math.random() * half;
    one.timer = setTimeout(() => {
      one.timer = undefined;
      this.again(topic);
    }, ms);
  }

  /** It is there, or nobody needs it any more. */
  end(topic: string): void {
    clearTimeout(this.#all.get(topic)?.timer);
    this.#all.delete(topic);
  }
}
