import { backoffMax } from '../limits.js';

/**
 * The delay before an attempt, in milliseconds: anything from nothing to a bound that doubles with each failure ("full
 * jitter"), so that a crowd that was cut off together does not come back together.
 *
 * @param failures 1 after the first
 * @param interval the first bound
 */
export function backoff(failures: number, interval: number, random: () => number): number {
  return Math.floor(random() * Math.min(backoffMax, interval * 2 ** Math.max(0, failures - 1)));
}
