/** A network that can be cut: TCP to the server and back, until it is told otherwise. */
import { connect, createServer } from 'node:net';
import { url as server } from './server.js';

export class Proxy {
  readonly #server: any;
  readonly #pairs = new Set<[any, any]>();
  #refuses = false;
  url = '';

  constructor() {
    this.#server = createServer(client => {
      if (this.#refuses) return client.destroy();
      const { port, hostname } = new URL(server);
      const upstream = connect(Number(port), hostname);
      const pair: [any, any] = [client, upstream];
      this.#pairs.add(pair);
      for (const [one, other] of [pair, [upstream, client]] as const) {
        one.on('data', (data: any) => other.write(data));
        one.on('error', () => {});
        one.on('close', () => {
          other.destroy();
          this.#pairs.delete(pair);
        });
      }
    });
  }

  async start(): Promise<this> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', () => resolve()));
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
    return this;
  }

  /** What is open stays open and is silent for ever; what is new passes. */
  stall(): void {
    for (const pair of this.#pairs) for (const one of pair) {
      one.removeAllListeners('data');
      one.pause();
    }
    this.#pairs.clear();
  }

  /** Everything ends, and nothing new is let in. */
  refuse(): void {
    this.#refuses = true;
    for (const pair of this.#pairs) for (const one of pair) one.destroy();
  }

  pass(): void {
    this.#refuses = false;
  }

  get open(): number {
    return this.#pairs.size;
  }

  close(): void {
    this.refuse();
    this.#server.close();
  }
}
