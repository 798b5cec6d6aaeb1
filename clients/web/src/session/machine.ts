/**
 * The life of a client's connection as a pure state machine: inputs in, actions out. It knows no socket, no clock and
 * no browser; `Runner` does what it says.
 *
 * Every attempt, from its token to its last close, has one generation. Whatever arrives for another generation is of the
 * past and changes nothing: a late `onclose`, a token that took too long, a timer that had fired already.
 */
import { backoff } from './backoff.js';
import { classify, type Ending } from './codes.js';
import type { DisconnectReason } from '../types/client.js';
import * as limits from '../limits.js';

export type Phase =
  /** Nobody asked for a connection. */
  | 'idle'
  /** A token is being fetched. */
  | 'token'
  /** The transport is opening, or open and not ready. */
  | 'opening'
  | 'connected'
  /** Until the next attempt's time. */
  | 'waiting'
  /** Until the network is back. */
  | 'offline'
  /** Something must change first. */
  | 'stopped';

export type Action =
  /** Get a token, then say `tokenReady` or `tokenFailed`. */
  | { do: 'token'; generation: number; force: boolean }
  | { do: 'open'; generation: number }
  /** Close the transport and forget every timer. */
  | { do: 'drop' }
  /** Call `timer(name, generation)` after `ms`; a timer of the same name is replaced. */
  | { do: 'timer'; name: Timer; generation: number; ms: number }
  /** Find out at once whether the connection is alive. */
  | { do: 'probe' };

export type Timer = 'retry' | 'deadline' | 'stable';

export interface MachineOptions {
  reconnectInterval: number;
  maxReconnectAttempts: number;
  random: () => number;
}

export class Machine {
  phase: Phase = 'idle';
  generation = 0;
  /** Failures since a connection was last stable; not counted while there is no network. */
  attempts = 0;
  reason: DisconnectReason | null = 'client';
  /** What there is to say beyond the reason. */
  why: string | undefined;
  /** There has been a connection since `connect`, or an attempt at one. */
  wasTried = false;
  #online = true;
  /** A token can be refreshed: it comes from a function. */
  #refreshable = false;
  /** The one forced refresh is used up until a connection is stable. */
  #refreshed = false;
  #force = false;
  /** The server said when to come back: nothing of ours is a reason to come earlier. */
  #told = false;

  constructor(private readonly options: MachineOptions) {}

  connect(refreshable: boolean, online: boolean): Action[] {
    this.#refreshable = refreshable;
    this.#online = online;
    this.#refreshed = this.#force = this.wasTried = false;
    this.attempts = 0;
    return [...this.#leave(), ...this.#attempt()];
  }

  disconnect(): Action[] {
    return this.#stop('client', 'idle');
  }

  /** There is another token, from outside: a reason to begin again only where the last one was refused. */
  newToken(refreshable: boolean): Action[] {
    this.#refreshable = refreshable;
    this.#refreshed = this.#force = false;
    if (this.reason === 'unauthenticated') {
      this.attempts = 0;
      return this.#attempt();
    }
    // The one under way has the other token.
    return this.phase === 'token' || this.phase === 'opening' ? [...this.#drop(), ...this.#attempt()] : [];
  }

  /** The connection is to be made again, at once: its topics changed, or a better transport is there. */
  reopen(): Action[] {
    if (this.phase !== 'connected' && this.phase !== 'opening') return [];
    return [...this.#leave(), ...this.#attempt()];
  }

  tokenReady(generation: number): Action[] {
    if (generation !== this.generation || this.phase !== 'token') return [];
    this.#force = false;
    this.phase = 'opening';
    return [{ do: 'open', generation }];
  }

  /** `signedOut`: there is nobody to connect as. Otherwise the token could not be had just now. */
  tokenFailed(generation: number, signedOut: boolean): Action[] {
    if (generation !== this.generation || this.phase !== 'token') return [];
    return signedOut ? this.#stop('unauthenticated') : this.#failed();
  }

  ready(generation: number): Action[] {
    if (generation !== this.generation || this.phase !== 'opening') return [];
    this.phase = 'connected';
    this.reason = null;
    return [{ do: 'timer', name: 'stable', generation, ms: limits.stableAfter }];
  }

  /** The transport has ended, or was given up. */
  closed(generation: number, ending: Ending): Action[] {
    if (generation !== this.generation || (this.phase !== 'opening' && this.phase !== 'connected')) return [];
    const kind = classify(ending);
    this.why = ending.why;
    // The inbox is always asked for: who is granted nothing, not even that, has come with a token of somebody else.
    if (kind === 'auth' || (kind === 'permission_denied' && this.phase === 'opening')) return this.#refused();
    return kind === 'retry' || kind === 'goaway' ? this.#failed(ending.retryAfterMs, kind === 'goaway') : this.#stop(kind);
  }

  timer(name: Timer, generation: number): Action[] {
    if (generation !== this.generation) return [];
    if (name === 'stable' && this.phase === 'connected') {
      this.attempts = 0;
      this.#refreshed = false;
    } else if (name === 'retry' && this.phase === 'waiting') {
      return this.#attempt();
    } else if (name === 'deadline' && (this.phase === 'token' || this.phase === 'opening')) {
      return this.#failed();
    }
    return [];
  }

  online(): Action[] {
    this.#online = true;
    if (this.phase === 'offline') return this.#attempt();
    return this.wake();
  }

  offline(): Action[] {
    this.#online = false;
    if (this.phase === 'connected') return [{ do: 'probe' }];
    if (this.phase !== 'waiting') return [];
    this.phase = 'offline';
    return this.#drop();
  }

  /** The page is looked at again, or came back from a sleep. */
  wake(): Action[] {
    if (this.phase === 'connected') return [{ do: 'probe' }];
    if (this.reason === 'max_attempts') {
      this.attempts = 0;
      return this.#attempt();
    }
    return this.phase === 'waiting' && !this.#told ? this.#attempt() : [];
  }

  #attempt(): Action[] {
    this.reason = null;
    this.why = undefined;
    if (!this.#online) {
      this.phase = 'offline';
      return [];
    }
    this.phase = 'token';
    const generation = ++this.generation;
    return [
      { do: 'timer', name: 'deadline', generation, ms: limits.connectTimeout },
      { do: 'token', generation, force: this.#force },
    ];
  }

  #failed(told = 0, asked = false): Action[] {
    const retryAfterMs = Math.min(told, limits.retryAfterMax);
    this.wasTried = true;
    if (!this.#online) {
      this.phase = 'offline';
      return this.#drop();
    }
    // To come back when asked to is no failure.
    if (!asked && ++this.attempts > this.options.maxReconnectAttempts) return this.#stop('max_attempts');
    const { random, reconnectInterval } = this.options;
    const ms = asked ? retryAfterMs : Math.max(retryAfterMs, backoff(this.attempts, reconnectInterval, random));
    const drop = this.#drop();
    this.#told = retryAfterMs > 0;
    this.phase = 'waiting';
    return [...drop, { do: 'timer', name: 'retry', generation: this.generation, ms }];
  }

  #refused(): Action[] {
    if (!this.#refreshable || this.#refreshed) return this.#stop('unauthenticated');
    this.#refreshed = this.#force = this.wasTried = true;
    return [...this.#drop(), ...this.#attempt()];
  }

  #stop(reason: DisconnectReason, phase: Phase = 'stopped'): Action[] {
    const drop = this.#leave();
    this.phase = phase;
    this.reason = reason;
    return drop;
  }

  /** Ends what is under way; an offline or idle client has nothing. */
  #leave(): Action[] {
    if (this.phase === 'connected') this.wasTried = true;
    return this.#drop();
  }

  /** Moves on to a generation that nothing old belongs to. */
  #drop(): Action[] {
    this.generation++;
    this.#told = false;
    return [{ do: 'drop' }];
  }
}
