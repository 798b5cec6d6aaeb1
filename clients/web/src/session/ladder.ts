/**
 * Which transport is used: a WebSocket, a stream over `fetch` where those do not pass, held polls where nothing else does.
 * A pure value.
 */
import type { TransportName } from '../types/client.js';
import { failuresPerRung, upgradeDelays } from '../limits.js';

const rungs: readonly TransportName[] = ['websocket', 'sse', 'poll'];

export class Ladder {
  #rung: number;
  #failures = 0;
  #probes = 0;

  /** @param remembered where the last page of this session stood */
  constructor(remembered: string | null, private readonly available: (name: TransportName) => boolean) {
    this.#rung = Math.max(0, rungs.indexOf(remembered as TransportName));
    this.#skip();
  }

  get current(): TransportName {
    return rungs[this.#rung]!;
  }

  /** The transport works here. */
  ready(): void {
    this.#failures = 0;
    if (this.#rung === 0) this.#probes = 0;
  }

  /** An attempt ended before it was ready, and not because the server said so. */
  failed(): void {
    // A proxy that stops WebSockets does so each time; a stream that fails is hardly the proxy's doing.
    if (++this.#failures < (this.#rung === 0 ? failuresPerRung : 1)) return;
    this.#failures = 0;
    this.#rung = (this.#rung + 1) % rungs.length;
    this.#skip();
  }

  /** When to look whether WebSockets pass after all, in milliseconds; `null` when they are in use. */
  nextProbe(): number | null {
    if (this.#rung === 0 || !this.available('websocket')) return null;
    return upgradeDelays[Math.min(this.#probes++, upgradeDelays.length - 1)]!;
  }

  /** They do. */
  upgrade(): void {
    this.#rung = 0;
    this.#failures = 0;
  }

  #skip(): void {
    for (let i = 0; i < rungs.length && !this.available(this.current); i++) this.#rung = (this.#rung + 1) % rungs.length;
  }
}
