/** The built client in headless Chromium, against a real server: nothing is lost, and nothing is shown twice. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { RealtimeWebSocketClient } from '../../src/index.js';
import { Browser, type Page } from '../support/chromium.js';
import { Proxy } from '../support/proxy.js';
import * as server from '../support/server.js';
import { Site } from '../support/site.js';
import { NodeWebSocket } from '../support/websocket.js';

let browser: Browser;
let site: Site;
let proxy: Proxy;
const pages: Page[] = [];

before(async () => {
  browser = new Browser();
  site = await new Site().start();
});
after(async () => {
  site.close();
  await browser.close();
});
afterEach(async () => {
  for (const page of pages.splice(0)) await page.close();
  proxy?.close();
});

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

/** A page that is loaded, in a window of its own unless it shares one. */
async function load(options: { context?: string; early?: string } = {}): Promise<Page> {
  const page = await browser.page(site.url, options.context ?? (await browser.context()), options.early);
  pages.push(page);
  await page.until('window.isLoaded');
  return page;
}

/** A page whose client is connected. */
async function connected(user: string, more: object = {}, options: Parameters<typeof load>[0] = {}): Promise<Page> {
  const page = await load(options);
  await start(page, user, more);
  return page;
}

async function start(page: Page, user: string, more: object = {}): Promise<void> {
  await page.eval(`start(${JSON.stringify({ user, url: server.url, ...more })})`);
  await page.until(`client.getState() === 'connected'`);
}

async function shows(page: Page, ids: string[]): Promise<void> {
  await page.until(`shown().length >= ${ids.length}`);
  assert.deepEqual(await page.eval('shown()'), ids);
}

test('connect, subscribe, receive', async () => {
  const user = server.newUser();
  const page = await connected(user, { chats: 'room' });
  assert.deepEqual((await page.eval(`client.subscribe('chat:room')`)).denied, []);
  await server.publish(user, 'a');
  await page.eval(`client.publish({ type: 'chat_message', topic: 'chat:room', eventId: 'b-${user}', payload: { chatId: 'room', messageId: 'b' } })`);
  await shows(page, ['a', `b-${user}`]);
  await page.until('client.getLatency() !== null');
  assert.deepEqual(await page.eval('states'), ['connecting', 'connected']);
  assert.deepEqual(page.console.filter(line => /EXCEPTION|error/.test(line)), []);
});

test('offline and online again: what came meanwhile is shown, at once', async () => {
  const user = server.newUser();
  const page = await connected(user);
  await server.publish(user, 'before');
  await shows(page, ['before']);
  await page.offline(true);
  await page.until(`client.getState() === 'reconnecting'`);
  for (const id of names('m', 5)) await server.publish(user, id);
  assert.equal(await page.eval('client.getConnectionInfo().reconnectAttempts'), 0);
  await page.offline(false);
  await shows(page, ['before', ...names('m', 5)]);
});

test('a half-open connection is noticed and left, though nobody closes it', async () => {
  proxy = await new Proxy().start();
  const user = server.newUser();
  const page = await connected(user, { url: proxy.url });
  await server.publish(user, 'before');
  await shows(page, ['before']);
  proxy.stall();
  await server.publish(user, 'after');
  await shows(page, ['before', 'after']);
  assert((await page.eval('states')).includes('reconnecting'));
});

test('a reload of the configuration drops nobody', async () => {
  const user = server.newUser();
  const page = await connected(user);
  server.reload();
  await server.publish(user, 'after');
  await shows(page, ['after']);
  assert.deepEqual(await page.eval('states'), ['connecting', 'connected']);
});

test('a restart of the gateways in peace loses nothing', async () => {
  const user = server.newUser();
  const page = await connected(user);
  await server.publish(user, 'before');
  server.restart('gateway');
  await server.publish(user, 'after');
  await shows(page, ['before', 'after']);
});

test('the death of every gateway, twice, loses nothing', async () => {
  const user = server.newUser();
  const page = await connected(user);
  const ids = names('k', 12);
  for (const [i, id] of ids.entries()) {
    if (i === 3 || i === 8) server.kill('gateway');
    await server.publish(user, id);
  }
  await shows(page, ids);
});

test('the death of the scheduler and of presence loses nothing', async () => {
  const user = server.newUser();
  const page = await connected(user);
  const ids = names('w', 6);
  for (const [i, id] of ids.entries()) {
    if (i === 2) server.kill('scheduler');
    if (i === 4) server.kill('presence');
    await server.publish(user, id);
  }
  await shows(page, ids);
});

test('a token that ends is replaced while the connection stays', async () => {
  const user = server.newUser();
  const page = await connected(user, { ttl: '2s' });
  await page.until('tokens === 2');
  // Longer than the first token was good for, with the server's leeway.
  const end = Date.now() + 5_000;
  for (let i = 0; Date.now() < end; i++) await server.publish(user, `t${i}`);
  const last = await page.eval<string[]>('shown()').then(ids => ids.length);
  assert(last > 0);
  assert.deepEqual(await page.eval('states'), ['connecting', 'connected']);
});

test('two tabs show the same, and one of them tells what was done offline', async () => {
  proxy = await new Proxy().start();
  const [user, chat] = [server.newUser(), `two-${server.newUser()}`];
  const context = await browser.context();
  const more = { url: proxy.url, chats: chat, options: { subscriptions: [`chat:${chat}`] } };
  const first = await connected(user, more, { context });
  const second = await connected(user, more, { context });
  assert.equal(await first.eval('client.deviceId'), await second.eval('client.deviceId'));
  proxy.refuse();
  for (const page of [first, second]) await page.until(`client.getState() === 'reconnecting'`);
  await first.eval(`say('${chat}', ${JSON.stringify(names(`a-${user}-`, 5))})`);
  await second.eval(`say('${chat}', ${JSON.stringify(names(`b-${user}-`, 5))})`);
  proxy.pass();
  const ids = [...names(`a-${user}-`, 5), ...names(`b-${user}-`, 5)];
  await shows(first, ids);
  await shows(second, ids);
  // Each was told by one of them.
  const told = [...(await first.eval<string[]>('sent')), ...(await second.eval<string[]>('sent'))];
  assert.deepEqual(told.sort(), ids.sort());
});

test('what a tab without a connection has added is told by another, also when the first is closed', async () => {
  proxy = await new Proxy().start();
  const [user, chat] = [server.newUser(), `closed-${server.newUser()}`];
  const context = await browser.context();
  const more = { chats: chat, options: { subscriptions: [`chat:${chat}`] } };
  const stays = await connected(user, more, { context });
  const leaves = await connected(user, { ...more, url: proxy.url }, { context });
  proxy.refuse();
  await leaves.until(`client.getState() === 'reconnecting'`);
  const ids = names(`c-${user}-`, 5);
  await leaves.eval(`say('${chat}', ${JSON.stringify(ids)})`);
  pages.splice(pages.indexOf(leaves), 1);
  await leaves.close();
  await shows(stays, ids);
  await stays.until(`sent.length === ${ids.length}`);
});

test('what a page showed over a stream is not given to its device again, once the page was hidden', async () => {
  const user = server.newUser();
  const page = await connected(user, {}, { early: 'delete window.WebSocket' });
  assert.equal(await page.eval('client.getConnectionInfo().transport'), 'sse');
  for (const id of names('e', 3)) await server.publish(user, id);
  await shows(page, names('e', 3));
  await page.eval(`window.dispatchEvent(new Event('pagehide'))`);
  // It goes on, on the stream that acknowledges.
  await server.publish(user, 'later');
  await shows(page, [...names('e', 3), 'later']);
  assert.deepEqual(await page.eval('states'), ['connecting', 'connected']);
  const deviceId = await page.eval('client.deviceId');
  await page.open('about:blank');
  await server.publish(user, 'missed');
  const got: string[] = [];
  const client = new RealtimeWebSocketClient({ url: server.url, deviceId, environment: { webSocket: NodeWebSocket } });
  client.on('event', event => got.push(event.eventId));
  await client.connect(user, server.token(user));
  await server.eventually('the missed', () => got.includes('missed'));
  client.disconnect();
  assert.deepEqual(got.filter(id => id.startsWith('e')), []);
});

test('a tab in the background stays connected, and shows what came when it is looked at', async () => {
  const user = server.newUser();
  const context = await browser.context();
  const page = await connected(user, {}, { context });
  const front = await load({ context });
  await front.toFront();
  await page.until(`document.visibilityState === 'hidden'`);
  const ids = names('h', 8);
  for (const id of ids) {
    await server.publish(user, id);
    // Together longer than the server bears silence.
    await new Promise(resolve => setTimeout(resolve, 1_000));
  }
  await shows(page, ids);
  await page.toFront();
  await page.until(`document.visibilityState === 'visible'`);
  await server.publish(user, 'seen');
  await shows(page, [...ids, 'seen']);
});

test('denied storage is gone without: events come once, and what is done offline is told', async () => {
  proxy = await new Proxy().start();
  const [user, chat] = [server.newUser(), `denied-${server.newUser()}`];
  const early = `
    for (const name of ['localStorage', 'sessionStorage', 'indexedDB']) {
      Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError'); } });
    }
    Object.defineProperty(navigator, 'locks', { value: { request: async () => { throw new DOMException('denied', 'SecurityError'); } } });`;
  const page = await connected(user, { url: proxy.url, chats: chat, options: { subscriptions: [`chat:${chat}`] } }, { early });
  proxy.refuse();
  await page.until(`client.getState() === 'reconnecting'`);
  const ids = names(`d-${user}-`, 4);
  await page.eval(`say('${chat}', ${JSON.stringify(ids)})`);
  proxy.pass();
  await shows(page, ids);
  await page.until(`sent.length === ${ids.length}`);
  assert.deepEqual(await page.eval('outbox.pending()'), []);
  assert.equal(await page.eval('volatile'), 1);
});

test('full storage is gone without as well, and nothing overtakes', async () => {
  proxy = await new Proxy().start();
  const [user, chat] = [server.newUser(), `full-${server.newUser()}`];
  const page = await load();
  await page.quota(1_000_000);
  await start(page, user, { url: proxy.url, chats: chat, options: { subscriptions: [`chat:${chat}`] } });
  proxy.refuse();
  await page.until(`client.getState() === 'reconnecting'`);
  const ids = names(`f-${user}-`, 6);
  await page.eval(`say('${chat}', ${JSON.stringify(ids.slice(0, 3))})`);
  await page.eval(fillStorage);
  await page.eval(`say('${chat}', ${JSON.stringify(ids.slice(3))})`);
  await page.until('volatile > 0');
  proxy.pass();
  await shows(page, ids);
});

/** Writes until not even a few bytes are taken; what does not compress. */
const fillStorage = `(async () => {
  const done = asked => new Promise((resolve, reject) => {
    asked.onsuccess = asked.oncomplete = () => resolve(asked.result);
    asked.onerror = asked.onabort = () => reject(asked.error);
  });
  const opening = indexedDB.open('filler', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore('bytes', { autoIncrement: true });
  const database = await done(opening);
  for (let size = 1 << 16; size >= 1; size >>= 4) {
    for (let i = 0; i < 10_000; i++) {
      const transaction = database.transaction('bytes', 'readwrite');
      transaction.objectStore('bytes').add(crypto.getRandomValues(new Uint8Array(size)));
      if (!(await done(transaction).then(() => true, () => false))) break;
    }
  }
})()`;

test('what was done offline is told in order over reloads, before and in the middle of it', async () => {
  proxy = await new Proxy().start();
  const [user, chat] = [server.newUser(), `reload-${server.newUser()}`];
  const got: string[] = [];
  const receiver = new RealtimeWebSocketClient({
    url: server.url, deviceId: `receiver-${user}`, subscriptions: [`chat:${chat}`], environment: { webSocket: NodeWebSocket },
  });
  receiver.on('chat_message', event => got.push(event.eventId));
  await receiver.connect(`receiver-${user}`, server.token(`receiver-${user}`, { chats: [chat] }));
  const more = { url: proxy.url, chats: chat, keeps: true, options: { subscriptions: [`chat:${chat}`] } };
  const page = await connected(user, more);
  proxy.refuse();
  await page.until(`client.getState() === 'reconnecting'`);
  const ids = names(`r-${user}-`, 40);
  await page.eval(`say('${chat}', ${JSON.stringify(ids)})`);
  await page.reload();
  await page.until('window.isLoaded');
  await page.eval(`start(${JSON.stringify({ user, ...more })})`);
  assert.equal((await page.eval('outbox.pending()')).length, 40);
  proxy.pass();
  await server.eventually('some of them', () => got.length >= 5);
  await page.reload();
  await page.until('window.isLoaded');
  await start(page, user, more);
  await server.eventually('all of them', () => got.length >= 40);
  assert.deepEqual(got, ids);
  await shows(page, ids);
  assert.deepEqual(await page.eval('outbox.pending()'), []);
  receiver.disconnect();
});
