/**
 * Which transport is used: a WebSocket, a stream over `fetch` where those do not pass, held polls where nothing else does.
 * A pure value.
 */
import type { TransportName } from '../types/client.js';
import { failuresPerRung, upgradeDelays } from '../limits.js';

const rungs: readonly TransportName[] = ['websocket', 'sse', 'poll'];

export class Ladder {
  readonly #rungs: TransportName[];
  #at: number;
  #failures = 0;
  #probes = 0;

  /**
   * @param remembered where the last page of this session stood
   * @param available what there is here
   */
  constructor(remembered: string | null, available: (name: TransportName) => unknown) {
    this.#rungs = rungs.filter(available);
    this.#at = Math.max(0, this.#rungs.indexOf(remembered as TransportName));
  }

  get rung(): TransportName {
    // Where there is nothing, it is a WebSocket that is missing.
    return this.#rungs[this.#at] ?? 'websocket';
  }

  /** The transport works here. */
  ready(): void {
    this.#failures = 0;
    if (this.#at === 0) this.#probes = 0;
  }

  /** An attempt ended before it was ready, and not because the server said so. */
  missed(): void {
    // A proxy that stops WebSockets does so each time; a stream that fails is hardly the proxy's doing.
    if (++this.#failures < (this.rung === 'websocket' ? failuresPerRung : 1)) return;
    this.#failures = 0;
    this.#at = (this.#at + 1) % this.#rungs.length;
  }

  /** When to look whether WebSockets pass after all, in milliseconds; `null` when they are in use, or are not there. */
  nextProbe(): number | null {
    if (this.#at === 0 || this.#rungs[0] !== 'websocket') return null;
    return upgradeDelays[Math.min(this.#probes++, upgradeDelays.length - 1)]!;
  }

  /** They do. */
  upgrade(): void {
    this.#at = 0;
    this.#failures = 0;
  }
}
