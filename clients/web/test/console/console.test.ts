/** The operator's console as its worker serves it, in headless Chromium. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { contrasts, namelessControls } from '../support/accessibility.js';
import { Browser, type Page } from '../support/chromium.js';
import * as server from '../support/server.js';

const { env } = process;
const avaloctl = `${env.AVALO_BINARIES}/avaloctl`;
const listeners: any[] = [];
let url = '';
let browser: Browser;
let page: Page;

before(async () => {
  const status = JSON.parse(execFileSync(avaloctl, ['status', '--json'], { encoding: 'utf8' }));
  const at = status.workers.find((one: any) => one.name === 'console').sockets.http[0];
  url = `http://${at}/`;
  for (const user of ['ann', 'bob', 'carol']) listen(user);
  await server.eventually('all are connected', async () =>
    (await server.call('listConnections', {})).connections.length === 3);
  browser = new Browser();
  page = await browser.page(url);
  await page.send('Emulation.setDeviceMetricsOverride', { width: 1320, height: 900, deviceScaleFactor: 1.5, mobile: false });
});
after(async () => {
  for (const one of listeners) one.kill();
  await browser.close();
});

/** Connects as a user, and stays. */
function listen(user: string): void {
  listeners.push(spawn(avaloctl, ['listen', '--user', user, '--device', 'phone'], { stdio: 'ignore' }));
}

const text = (selector: string) => `document.querySelector('${selector}')?.textContent`;
const rows = (place = 'main') => `[...document.querySelectorAll('${place} tbody tr')].map(row => row.innerText.replace(/\\s+/g, ' '))`;

const enter = () => page.press('Enter', 13, '\r');

/** Types what stands in the field that has the focus, and sends it. */
async function submit(words: string): Promise<void> {
  await page.eval('document.activeElement.select()');
  await page.send('Input.insertText', { text: words });
  await enter();
}

/** Opens a view and looks for something there, with the keyboard. */
async function look(view: string, field: string, words: string): Promise<void> {
  await page.eval(`document.querySelector('nav a[href="#${view}"]').click()`);
  await page.until(`document.querySelector('nav [aria-current]')?.hash === '#${view}' && !!document.querySelector('input[name=${field}]')`);
  await page.eval(`document.querySelector('input[name=${field}]').focus()`);
  await submit(words);
}

test('a wrong key is told so, and the right one opens the page', async () => {
  await page.until(`document.activeElement?.id === 'key'`);
  await submit('avk_wrong');
  await page.until(`${text('.wrong')} === 'There is no such key of the scope console.'`);
  await submit(server.apiKey());
  await page.until(`!document.getElementById('who').hidden && ${text('#who span')} === 'Development'`);
  await page.until(`/^avalod \\S+: ready/.test(${text('#state')})`);
  assert.equal(await page.eval('document.cookie'), '', 'no script reads the cookie');
});

test('the indicators are there with their lines, and follow what happens', async () => {
  await page.until(`document.querySelectorAll('.tile').length === 8`);
  assert.deepEqual(await page.eval(`[...document.querySelectorAll('.tile')].map(one => one.querySelectorAll('.limit').length)`),
    [2, 1, 1, 1, 1, 0, 0, 0]);
  await page.until(`${text('#tile-connections .value')} === '3'`);
  // What happened before the console looked is in no share.
  listen('dave');
  await page.until(`${text('#tile-connections .value')} === '4'`);
  for (let n = 0; n < (env.AVALO_SCREENSHOT ? 600 : 60); n++) {
    await server.publish(['ann', 'bob', 'carol', 'dave'][n % 4]!, `console-${n}`);
    if (n % 20 === 0) await new Promise(resolve => setTimeout(resolve, 50 + n));
  }
  await page.until(`/ms$/.test(${text('#tile-deliveryP95 .value')})`);
  await page.until(`${text('#tile-systemErrors .value')} === '0 %' && ${text('#tile-connectionErrors .value')} === '0 %'`);
  await page.until(`document.querySelectorAll('#tile-published .line').length > 0`);
  assert.match(await page.eval(`document.querySelector('#tile-deliveryP99 svg').getAttribute('aria-label')`),
    /^Delivery, 99th percentile: .* ms, at most .*; critical above 500 ms$/);
  if (env.AVALO_SCREENSHOT) await page.screenshot(env.AVALO_SCREENSHOT);
});

test('every worker has its row, and a death shows there', async () => {
  for (const worker of ['gateway', 'presence', 'scheduler', 'console']) {
    await page.until(`${rows('#workers')}.some(row => /^${worker}\\.0 ready \\d+ .* MiB .* %/.test(row))`);
  }
  server.kill('presence');
  await page.until(`${rows('#workers')}.some(row => /^presence\\.0 .* 1 /.test(row))`);
  await page.until(`${rows('#workers')}.some(row => /^presence\\.0 ready/.test(row))`);
});

test('what is missing is told until it is there', async () => {
  execFileSync(avaloctl, ['workers', 'drain', `gateway.${server.processes('gateway').length - 1}`], { encoding: 'utf8' });
  await page.until(`!document.getElementById('notice').hidden && /must be served/.test(${text('#notice')})`);
  await page.until(`/not ready/.test(${text('#state')})`);
  server.restart('gateway');
  await page.until(`document.getElementById('notice').hidden && /: ready$/.test(${text('#state')})`);
  await server.eventually('all are connected again', async () =>
    (await server.call('listConnections', {})).connections.length === 4);
});

test('connections are found by their user', async () => {
  await look('connections', 'user', 'bob');
  await page.until(`${rows()}.length === 1 && /^conn_\\S+ bob phone/.test(${rows()}[0])`);
  await look('connections', 'user', 'nobody');
  await page.until(`${text('.found')} === 'nobody has no connection.'`);
  await look('connections', 'user', '<b>');
  await page.until(`/is no user's id/.test(${text('.found')})`);
});

test('presence is told of whom one names, and of everybody', async () => {
  await look('presence', 'user', 'ann, erin');
  await page.until(`${rows()}.length === 2 && /^ann online/.test(${rows()}[0]) && /^erin offline never/.test(${rows()}[1])`);
  await look('presence', 'user', '');
  await page.until(`/4 of 4 users/.test(${text('caption')})`);
});

test('a topic shows its events', async () => {
  await look('topics', 'name', 'user:ann');
  await page.until(`${rows()}.length > 10 && ${rows()}[0].includes('notification')`);
  await page.until(`${text('main h2')} === 'user:ann'`);
  await look('topics', 'name', 'user:nobody');
  await page.until(`/nothing was ever published/.test(${text('.found')})`);
});

test('an event is traced to the device that has it, from its topic', async () => {
  await look('topics', 'name', 'user:ann');
  await page.until(`${rows()}.length > 10`);
  const id = await page.eval(`document.querySelector('tbody td a').textContent`);
  await page.eval(`document.querySelector('tbody td a').click()`);
  await page.until(`${text('main h2')} === ${JSON.stringify(id)}`);
  await page.until(`/^ann phone (acknowledged|written) /.test(${rows()}[0])`);
  await look('trace', 'event', 'never');
  await page.until(`/^Nothing is known of never/.test(${text('.found')})`);
});

test('a user is traced: devices, subscriptions, the last events', async () => {
  await page.eval(`location.hash = '#trace?user=ann'`);
  await page.until(`${text('main h2')} === 'ann' && document.querySelectorAll('main table').length === 3`);
  await page.until(`${rows()}[0].startsWith('phone yes ')`);
  await page.until(`${rows()}.filter(row => /notification .* phone (acknowledged|written)/.test(row)).length > 10`);
});

test('who reads slowly stops it from moving', async () => {
  await page.eval(`document.querySelector('nav a').click(); document.getElementById('pause').click()`);
  const shown = `${text('#workers caption')}`;
  const before = await page.eval(shown);
  listen('erin');
  await server.eventually('another is connected', async () =>
    (await server.call('listConnections', {})).connections.length === 5);
  assert.equal(await page.eval(shown), before);
  assert.equal(await page.eval(`${text('#tile-connections .value')}`), '4');
  await page.eval(`document.getElementById('pause').click()`);
  await page.until(`${text('#tile-connections .value')} === '5'`);
});

test('who cannot be reached is told, and what was shown stays', async () => {
  await page.eval(`document.querySelector('nav a').click()`);
  await page.until(`document.querySelectorAll('.tile').length === 8`);
  await page.offline(true);
  await page.until(`!document.getElementById('notice').hidden && /does not answer/.test(${text('#notice')})`);
  assert.equal(await page.eval(text('#state')), 'No answer');
  assert.equal(await page.eval(`document.querySelectorAll('.tile').length`), 8);
  await page.offline(false);
  await page.until(`document.getElementById('notice').hidden`);
});

test('the policy lets nothing else in, every control has its name, and the console is quiet', async () => {
  const violations = page.console.filter(line => /EXCEPTION|Content Security|Refused/.test(line));
  assert.deepEqual(violations, []);
  await page.eval(`(() => { const one = document.createElement('script'); one.textContent = 'window.isIn = true'; document.body.append(one); })()`);
  assert.equal(await page.eval('window.isIn'), undefined);
  for (const view of ['overview', 'connections', 'presence', 'topics', 'trace']) {
    await page.eval(`document.querySelector('nav a[href="#${view}"]').click()`);
    await page.until(`document.querySelector('nav [aria-current]').hash === '#${view}'`);
    assert.deepEqual(await namelessControls(page), [], view);
  }
});

test('the keyboard reaches everything', async () => {
  await page.eval(`document.querySelector('nav a').click(); document.getElementById('pause').focus()`);
  await page.press('Tab', 9);
  assert.equal(await page.eval('document.activeElement.id'), 'out');
  await page.press('Tab', 9);
  assert.equal(await page.eval('document.activeElement.hash'), '#overview');
  await page.press('Tab', 9);
  await enter();
  await page.until(`document.querySelector('nav [aria-current]').hash === '#connections'`);
  await page.until(`${rows()}.length === 5`);
});

test('light and dark have enough contrast', async () => {
  for (const value of ['light', 'dark']) {
    await page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
    for (const view of ['overview', 'presence', 'trace?user=ann']) {
      await page.eval(`location.hash = '#${view}'`);
      await page.until(`${rows()}.length > 2`);
      const lines = await page.eval<{ ratio: number; text: string }[]>(`(${contrasts})()`);
      assert(lines.length > 15);
      // WCAG 2.1, 1.4.3.
      assert.deepEqual(lines.filter(line => line.ratio < 4.5), [], `${value} ${view}`);
    }
  }
});

test('a console that began anew asks for the key again, and so does signing out', async () => {
  server.kill('console');
  await page.until(`${text('.wrong')} === 'Your session has ended.'`);
  await submit(server.apiKey());
  await page.until(`!document.getElementById('who').hidden && ${text('#who span')} === 'Development'`);
  await page.eval(`document.getElementById('out').click()`);
  await page.until(`document.activeElement?.id === 'key'`);
  await page.reload();
  await page.until(`document.activeElement?.id === 'key'`);
});
