/**
 * Does what the machine says: timers, tokens, transports, pings. Nothing is decided here but which of the pure values is
 * asked.
 */
import type { Caller } from '../calls/http.js';
import type { Environment } from '../environment.js';
import { keep, recall } from '../environment.js';
import { openPolls } from '../transport/poll.js';
import { openStream } from '../transport/sse.js';
import type { OpenTransport, Opening, Transport } from '../transport/transport.js';
import { openWebSocket, webSocketPasses } from '../transport/websocket.js';
import type { TransportName } from '../types/client.js';
import type { ConnectRequest, ReadyFrame, ServerFrame } from '../types/frames.js';
import type { Ending } from './codes.js';
import { Ladder } from './ladder.js';
import { Liveness } from './liveness.js';
import type { Tokens } from './tokens.js';
import { type Action, Machine, type MachineOptions } from './machine.js';

const transportKey = 'avalo.transport';
const open: Record<TransportName, OpenTransport> = { websocket: openWebSocket, sse: openStream, poll: openPolls };

/** What the runner needs of the client around it. */
export interface RunnerHooks {
  readonly tokens: Tokens;
  /** What to subscribe to and from where; asked when a transport is opened. */
  request(transport: TransportName): ConnectRequest;
  ready(ready: ReadyFrame): void;
  /** Any other frame that is not about the connection itself. */
  frame(frame: ServerFrame): void;
  /** The transport is gone: what waits for an answer from it waits in vain. */
  lost(): void;
  /** Phase, reason or attempts are others now. */
  changed(): void;
  log(message: string, facts?: unknown): void;
}

export class Runner {
  readonly machine: Machine;
  readonly ladder: Ladder;
  #transport: Transport | undefined;
  #liveness: Liveness | undefined;
  #timers = new Map<string, unknown>();
  /** What the server said of the connection's end, and of coming back. */
  #said: Partial<Ending> = {};
  #stopProbe: (() => void) | undefined;

  constructor(
    options: Omit<MachineOptions, 'random'> & { pingInterval: number }, private readonly caller: Caller,
    private readonly hooks: RunnerHooks,
  ) {
    this.machine = new Machine({ ...options, random: caller.environment.random });
    const { webSocket, fetch, session } = this.#environment;
    this.ladder = new Ladder(recall(session, transportKey), name =>
      name === 'websocket' ? webSocket : fetch || (name === 'poll' && caller.callable));
    this.#pingInterval = options.pingInterval;
  }

  readonly #pingInterval: number;
  get #environment(): Environment {
    return this.caller.environment;
  }

  get roundTrip(): number | null {
    return this.#liveness?.roundTrip ?? null;
  }

  /** Whether calls can be sent over the connection; nothing while there is none. */
  get isDuplex(): boolean | undefined {
    return this.machine.phase === 'connected' ? this.#transport!.isDuplex : undefined;
  }

  send(frame: unknown): void {
    this.sendText(JSON.stringify(frame));
  }

  sendText(text: string): void {
    this.#transport!.send(text);
  }

  /** The page may be going away. */
  leave(): void {
    this.#transport?.leave?.();
  }

  /** Hands an input to the machine and does what comes of it. */
  run(input: (machine: Machine) => Action[]): void {
    const before = this.machine.phase;
    const actions = input(this.machine);
    for (const action of actions) this.#do(action);
    const { phase, attempts, reason } = this.machine;
    // In quotes a name is not shortened by the build.
    if (before !== phase || actions.length) this.hooks.log(phase, { 'attempts': attempts, reason, transport: this.ladder.rung });
    this.hooks.changed();
  }

  #do(action: Action): void {
    switch (action.do) {
      case 'timer':
        return this.#timer(action.name, action.ms, () => this.run(machine => {
          if (action.name === 'deadline' && machine.phase === 'opening') this.ladder.missed();
          return machine.timer(action.name, action.generation);
        }));
      case 'token': return void this.#token(action.generation, action.force);
      case 'open': return this.#open(action.generation);
      case 'probe':
        this.#liveness!.probe(this.#environment.now());
        return this.#tick(this.machine.generation);
      case 'drop': return this.#drop();
    }
  }

  async #token(generation: number, force: boolean): Promise<void> {
    try {
      const token = await this.hooks.tokens.get(force);
      this.run(machine => token === null ? machine.tokenFailed(generation, true) : machine.tokenReady(generation));
    } catch (thrown) {
      this.hooks.log('no token', String(thrown));
      this.run(machine => machine.tokenFailed(generation, false));
    }
  }

  #open(generation: number): void {
    const name = this.ladder.rung;
    this.#said = {};
    const { tokens } = this.hooks;
    const token = tokens.last;
    // What it asks for later it asks for with the token of then.
    const opening: Opening = { ...this.caller, request: this.hooks.request(name), get token() { return tokens.last ?? token; } };
    try {
      this.#transport = open[name](opening, {
        alive: () => this.#liveness?.heard(this.#environment.now()),
        frame: frame => this.#frame(generation, name, opening, frame),
        closed: ending => this.#closed(generation, ending),
      });
    } catch (thrown) {
      // A WebSocket refuses an address that it does not understand, or a page's policy does.
      this.#closed(generation, { code: 0, why: String(thrown) });
    }
  }

  #frame(generation: number, name: TransportName, opening: Opening, frame: ServerFrame): void {
    const { ready } = frame;
    // The inbox is what was asked for first.
    if (ready?.userId && opening.request.subscriptions[0] !== `user:${ready.userId}`) {
      this.#closed(generation, { code: 4500, why: `the token is of ${ready.userId}` });
    } else if (ready && this.machine.phase !== 'connected') {
      this.ladder.ready();
      keep(this.#environment.session, transportKey, name);
      const interval = Math.min(this.#pingInterval, ready.pingInterval ?? Infinity);
      // What cannot be asked is waited for as long as the server's own interval.
      const { isDuplex } = this.#transport!;
      this.#liveness = new Liveness(
        isDuplex ? interval : ready.pingInterval ?? interval, isDuplex, this.#environment.now());
      this.run(machine => {
        const actions = machine.ready(generation);
        this.hooks.ready(ready);
        // A listener may have ended it.
        return machine.generation === generation ? actions : [];
      });
      if (this.machine.generation !== generation) return;
      this.#tick(generation);
      this.#planUpgrade(generation, opening);
    } else if (frame.pong) this.#liveness?.pong(this.#environment.now());
    else if (frame.goaway) this.#said = { retryAfterMs: frame.goaway.retryAfterMs ?? 0 };
    else {
      if (frame.error && !frame.id) {
        this.#said = { retryAfterMs: frame.error.details?.retryAfterMs, why: frame.error.message };
        this.hooks.log('the server says', frame.error);
      }
      this.hooks.frame(frame);
    }
  }

  #closed(generation: number, ending: Ending): void {
    this.hooks.log('closed', ending);
    if (this.machine.phase === 'opening' && ending.code < 4000 && !ending.status) this.ladder.missed();
    this.run(machine => machine.closed(generation, { ...ending, ...this.#said }));
  }

  /** Looks after the connection, now and until it ends. */
  #tick(generation: number): void {
    const { machine } = this;
    while (machine.generation === generation && machine.phase === 'connected') {
      const wish = this.#liveness!.next(this.#environment.now());
      if (typeof wish === 'number') return this.#timer('tick', wish, () => this.#tick(generation));
      if (wish === 'dead') return this.#closed(generation, { code: 0, why: 'silent' });
      this.send({ ping: {} });
    }
  }

  /** On a lesser transport: looks now and then whether WebSockets pass, and changes to them. */
  #planUpgrade(generation: number, opening: Opening): void {
    const ms = this.ladder.nextProbe();
    if (ms === null) return;
    this.#timer('upgrade', ms, () => {
      this.#planUpgrade(generation, opening);
      this.#stopProbe?.();
      this.#stopProbe = undefined;
      try {
        this.#stopProbe = webSocketPasses(opening, () => {
          if (this.machine.generation !== generation) return;
          this.ladder.upgrade();
          this.run(machine => machine.reopen());
        });
      } catch {
        // An address that is none: outside of a page somebody must say where the server is.
      }
    });
  }

  #timer(name: string, ms: number, run: () => void): void {
    this.#environment.clearTimeout(this.#timers.get(name));
    this.#timers.set(name, this.#environment.setTimeout(run, ms));
  }

  #drop(): void {
    for (const timer of this.#timers.values()) this.#environment.clearTimeout(timer);
    this.#timers.clear();
    this.#stopProbe?.();
    this.#stopProbe = undefined;
    const transport = this.#transport;
    this.#transport = undefined;
    transport?.close();
    this.hooks.lost();
  }
}
