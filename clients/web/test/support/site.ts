/** The application of the browser tests: a page with the built client, and a back end that signs tokens. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { token } from './server.js';

/** Keeps what it shows over a reload, as a chat's history is kept. */
const script = `
import { RealtimeWebSocketClient } from '/dist/avalo.min.mjs';
import { Outbox } from '/dist/outbox.min.mjs';

window.states = [];
window.tokens = 0;
const shown = () => JSON.parse(window.kept ?? '[]');
window.shown = () => { try { return JSON.parse(sessionStorage.shown ?? '[]'); } catch { return shown(); } };
const show = id => {
  const all = JSON.stringify([...window.shown(), id]);
  try { sessionStorage.shown = all; } catch { window.kept = all; }
};
window.start = ({ user, url, chats = '', ttl = '1h', options = {}, keeps = false }) => {
  const client = window.client = new RealtimeWebSocketClient({
    url, reconnectInterval: 100, maxReconnectAttempts: 100000, ...options, ...(keeps && { positions: sessionStorage }),
  });
  client.on('event', event => event.offset !== undefined && show(event.eventId));
  client.onStateChange(state => states.push(state));
  window.sent = [];
  window.volatile = 0;
  window.outbox = new Outbox(client);
  outbox.on('sent', ({ entry }) => sent.push(entry.data.eventId));
  outbox.on('volatile', () => volatile++);
  client.connect(user, async () => {
    const first = tokens++ === 0;
    return (await fetch('/token?' + new URLSearchParams({ user, chats, ttl: first ? ttl : '1h' }))).text();
  });
};
window.say = (chat, ids) => Promise.all(ids.map(id => outbox.publish({
  type: 'chat_message', topic: 'chat:' + chat, eventId: id, payload: { chatId: chat, messageId: id } })));
window.isLoaded = true;
`;

const page = '<!doctype html><meta charset="utf-8"><title>test</title><link rel="icon" href="data:,">'
  + '<script type="module" src="/page.mjs"></script>';

const types: Record<string, string> = { mjs: 'text/javascript', map: 'application/json' };

export class Site {
  readonly #server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    const asset = /^\/dist\/([\w.]+\.(mjs|map))$/.exec(pathname);
    const answer = (type: string, body: unknown) => {
      response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-store' });
      response.end(body);
    };
    if (pathname === '/') return answer('text/html', page);
    if (pathname === '/page.mjs') return answer('text/javascript', script);
    if (asset) return answer(types[asset[2]!]!, readFileSync(`dist/${asset[1]}`));
    if (pathname === '/token') {
      const chats = searchParams.get('chats');
      const options = { ttl: searchParams.get('ttl')!, ...(chats && { chats: chats.split(',') }) };
      return answer('text/plain', token(searchParams.get('user')!, options));
    }
    response.writeHead(404);
    response.end();
  });
  url = '';

  async start(): Promise<this> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', () => resolve()));
    this.url = `http://127.0.0.1:${this.#server.address().port}/`;
    return this;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
