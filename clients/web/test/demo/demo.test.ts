/** The demo's page as the gateway serves it, in headless Chromium. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { Browser, type Page } from '../support/chromium.js';
import { contrasts, namelessControls } from '../support/accessibility.js';
import * as server from '../support/server.js';

const { env } = process;
let browser: Browser;
let page: Page;

before(async () => {
  // The people's tokens need the sandbox's keys; a reload has the gateway read the folder again.
  execFileSync('../../scripts/demo-page', [
    env.AVALO_WORKERS__GATEWAY__SETTINGS__DEMO_FOLDER, `${env.AVALO_BINARIES}/avaloctl`, env.AVALO_CONFIG_DIR]);
  execFileSync(`${env.AVALO_BINARIES}/avaloctl`, ['reload']);
  await server.eventually('the people', async () => (await fetch(`${server.url}/demo/users.json`)).ok);
  browser = new Browser();
  page = await browser.page(`${server.url}/demo/`);
  await page.send('Emulation.setDeviceMetricsOverride', { width: 1180, height: 760, deviceScaleFactor: 1.5, mobile: false });
});
after(() => browser.close());

const of = (who: string, selector: string) => `document.querySelector('#demo-${who} ${selector}')`;
const text = (who: string, selector: string) => `${of(who, selector)}?.textContent`;
const texts = (who: string) => `[...document.querySelectorAll('#demo-${who} .messages .text')].map(one => one.textContent)`;

/** Types and sends as a person does, with the keyboard. */
async function write(who: string, words: string, sends = true): Promise<void> {
  await page.eval(`${of(who, 'input')}.focus()`);
  await page.send('Input.insertText', { text: words });
  if (sends) await page.press('Enter', 13, '\r');
}

const click = (who: string, selector: string) => page.eval(`${of(who, selector)}.click()`);

test('both connect, see each other, and know their latency', async () => {
  for (const who of ['ann', 'bob']) {
    await page.until(`${text(who, '.state')} === 'Connected'`);
    await page.until(`/^\\d+ ms · websocket$/.test(${text(who, '.facts')})`);
  }
  await page.until(`${text('ann', '.presence')} === 'Bob is online'`);
});

test('a message is unread for the other, then read, and its ticks say so', async () => {
  await write('ann', 'Shall we meet at the lake?');
  await page.until(`${text('bob', '.unread')} === '1' && !${of('bob', '.unread')}.hidden`);
  await page.until(`${of('ann', '.ticks')}?.dataset.ticks === 'sent'`);
  await page.eval(`${of('bob', 'input')}.focus()`);
  await page.until(`${of('ann', '.ticks')}.dataset.ticks === 'read'`);
  assert.equal(await page.eval(`${of('bob', '.unread')}.hidden`), true);
});

test('typing shows, and ends', async () => {
  await write('bob', 'At seven', false);
  await page.until(`${text('ann', '.typing')} === 'and types …'`);
  await write('bob', '?');
  await page.until(`${text('ann', '.typing')} === ''`);
});

test('a status is seen by the other', async () => {
  await page.eval(`(() => { const one = ${of('bob', 'select')}; one.value = 'busy'; one.dispatchEvent(new Event('change')); })()`);
  await page.until(`${text('ann', '.presence')} === 'Bob is busy'`);
});

test('a cut connection comes back, and what was said meanwhile is there once', async () => {
  await click('ann', '.cut');
  await page.until(`${text('ann', '.state')} !== 'Connected'`);
  await write('bob', 'I bring the bread');
  await page.until(`${text('ann', '.state')} === 'Connected'`);
  await page.until(`${texts('ann')}.includes('I bring the bread')`);
});

test('what is written offline waits, and is sent in order', async () => {
  await click('ann', '.offline');
  await page.until(`${text('ann', '.state')} === 'Offline'`);
  await write('ann', 'I am in the train');
  await write('ann', 'and bring the cheese');
  await page.until(`document.querySelectorAll('#demo-ann [data-ticks=waiting]').length === 2`);
  if (env.AVALO_SCREENSHOT) await page.screenshot(env.AVALO_SCREENSHOT);
  await click('ann', '.offline');
  const all = ['Shall we meet at the lake?', 'At seven?', 'I bring the bread', 'I am in the train', 'and bring the cheese'];
  await page.until(`${texts('bob')}.length === 5`);
  for (const who of ['ann', 'bob']) assert.deepEqual(await page.eval(texts(who)), all);
});

test('the death of every gateway costs a moment', async () => {
  server.kill('gateway');
  await write('bob', 'Still there?');
  await page.until(`${texts('ann')}.includes('Still there?')`);
});

test('the policy lets nothing else in, every control has its name, and the console is quiet', async () => {
  const violations = page.console.filter(line => /EXCEPTION|Content Security|Refused/.test(line));
  assert.deepEqual(violations, []);
  await page.eval(`(() => { const one = document.createElement('script'); one.textContent = 'window.isIn = true'; document.body.append(one); })()`);
  assert.equal(await page.eval('window.isIn'), undefined);
  assert.deepEqual(await namelessControls(page), []);
});

test('the keyboard reaches every control in turn, shows where it is, and uses it', async () => {
  const count = await page.eval<number>(`(window.controls = [...document.querySelectorAll('a[href], button, input, select, [tabindex]')]
    .filter(one => one.checkVisibility())).length`);
  assert.equal(count, 12);
  const place = 'controls.indexOf(document.activeElement)';
  await page.eval('controls[0].focus()');
  for (let i = 1; i < count; i++) {
    await page.press('Tab', 9);
    assert.equal(await page.eval(place), i);
    assert.equal(await page.eval('getComputedStyle(document.activeElement).outlineStyle'), 'solid');
    if (!(await page.eval(`document.activeElement.matches('#demo-ann .offline')`))) continue;
    for (const state of ['Offline', 'Connected']) {
      await page.press(' ', 32, ' ');
      await page.until(`${text('ann', '.state')} === '${state}'`);
    }
  }
});

test('the dark of night has enough contrast as well', async () => {
  for (const value of ['light', 'dark']) {
    await page.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
    const lines = await page.eval<{ ratio: number; text: string }[]>(`(${contrasts})()`);
    assert(lines.length > 20);
    // WCAG 2.1, 1.4.3.
    assert.deepEqual(lines.filter(line => line.ratio < 4.5), [], value);
  }
});
