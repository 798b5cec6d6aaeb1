/**
 * A WebSocket for Node, which has none before version 22: as much of RFC 6455 as a text protocol needs, and a `cut` that ends
 * the connection without a word. For tests.
 */
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { WebSocketLike } from '../../src/environment.js';

export class NodeWebSocket implements WebSocketLike {
  /** All that are open, to be cut by a test. */
  static open = new Set<NodeWebSocket>();
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  #socket: any;
  #rest: any = Buffer.alloc(0);
  #parts: any[] = [];
  #isOver = false;

  constructor(url: string, protocols: string[]) {
    const { hostname, port, pathname, search } = new URL(url);
    const asked = request({
      host: hostname, port, path: pathname + search, headers: {
        Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': randomBytes(16).toString('base64'), 'Sec-WebSocket-Protocol': protocols.join(', '),
      },
    });
    asked.on('upgrade', (_response: any, socket: any, head: any) => {
      if (this.#isOver) return socket.destroy();
      this.#socket = socket;
      NodeWebSocket.open.add(this);
      socket.on('data', (data: any) => this.#read(data));
      socket.on('close', () => this.#end(1006));
      socket.on('error', () => this.#end(1006));
      this.onopen?.({});
      this.#read(head);
    });
    asked.on('response', (response: any) => {
      response.resume();
      this.#end(1006);
    });
    asked.on('error', () => this.#end(1006));
    asked.end();
  }

  send(text: string): void {
    this.#write(1, Buffer.from(text));
  }

  close(code = 1000): void {
    const body = Buffer.alloc(2);
    body.writeUInt16BE(code);
    if (this.#socket) this.#write(8, body);
    this.#isOver = true;
    this.#socket?.end();
    NodeWebSocket.open.delete(this);
  }

  /** The network is gone. */
  cut(): void {
    this.#socket.destroy();
  }

  /** The network swallows everything, and nobody says so. */
  stall(): void {
    this.#socket.removeAllListeners('data');
    this.#socket.pause();
    this.#socket.write = () => true;
  }

  #write(opcode: number, body: any): void {
    const length = body.length < 126 ? Buffer.from([body.length | 0x80])
      : body.length < 65_536 ? Buffer.from([126 | 0x80, body.length >> 8, body.length & 255])
      : (() => { const b = Buffer.alloc(9); b[0] = 127 | 0x80; b.writeBigUInt64BE(BigInt(body.length), 1); return b; })();
    const mask = randomBytes(4);
    const masked = Buffer.from(body.map((byte: number, i: number) => byte ^ mask[i & 3]));
    this.#socket.write(Buffer.concat([Buffer.from([0x80 | opcode]), length, mask, masked]));
  }

  #read(data: any): void {
    this.#rest = Buffer.concat([this.#rest, data]);
    while (this.#rest.length >= 2) {
      const [first, second] = this.#rest;
      let length = second & 127;
      let at = 2;
      if (length === 126) [length, at] = [this.#rest.length < 4 ? Infinity : this.#rest.readUInt16BE(2), 4];
      else if (length === 127) [length, at] = [this.#rest.length < 10 ? Infinity : Number(this.#rest.readBigUInt64BE(2)), 10];
      if (this.#rest.length < at + length) return;
      const body = this.#rest.subarray(at, at + length);
      this.#rest = this.#rest.subarray(at + length);
      this.#take(first & 15, (first & 128) !== 0, body);
    }
  }

  #take(opcode: number, isLast: boolean, body: any): void {
    if (this.#isOver) return;
    if (opcode === 8) {
      const code = body.length >= 2 ? body.readUInt16BE(0) : 1005;
      this.#socket.end();
      return this.#end(code);
    }
    if (opcode === 9) return this.#write(10, body);
    if (opcode === 10) return;
    this.#parts.push(body);
    if (!isLast) return;
    const text = Buffer.concat(this.#parts).toString('utf8');
    this.#parts = [];
    this.onmessage?.({ data: text });
  }

  #end(code: number): void {
    NodeWebSocket.open.delete(this);
    if (this.#isOver) return;
    this.#isOver = true;
    this.onclose?.({ code });
  }
}
