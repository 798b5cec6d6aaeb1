/** Headless Chromium, driven by the DevTools protocol over a pipe: no port, no package. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type Handler = (params: any) => void;

export class Browser {
  readonly #profile = mkdtempSync(join(tmpdir(), 'avalo-chromium-'));
  readonly #process: any;
  readonly #gone: Promise<void>;
  #last = 0;
  #rest = '';
  readonly #waiting = new Map<number, { resolve(result: any): void; reject(error: Error): void }>();
  readonly #handlers = new Map<string, Handler>();

  constructor() {
    this.#process = spawn('chromium', [
      '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-sync',
      '--disable-background-networking', '--disable-component-update', '--disable-extensions', '--password-store=basic',
      `--user-data-dir=${this.#profile}`, '--remote-debugging-pipe', 'about:blank',
    ], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    this.#gone = new Promise(resolve => this.#process.once('exit', () => resolve()));
    void this.#gone.then(() => {
      for (const one of this.#waiting.values()) one.reject(new Error('Chromium has ended'));
    });
    const input = this.#process.stdio[4];
    input.setEncoding('utf8');
    input.on('data', (text: string) => {
      const messages = (this.#rest + text).split('\0');
      this.#rest = messages.pop()!;
      for (const message of messages) this.#take(JSON.parse(message));
    });
  }

  send(method: string, params: object = {}, sessionId?: string): Promise<any> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#process.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + '\0');
    });
  }

  /** Events of one kind of one page. */
  on(sessionId: string, method: string, handler: Handler): void {
    this.#handlers.set(`${sessionId} ${method}`, handler);
  }

  /** Storage of its own, as a private window has. */
  async context(): Promise<string> {
    return (await this.send('Target.createBrowserContext')).browserContextId;
  }

  /** A new tab, in front. `early` runs before the page's own scripts. */
  async page(url: string, context?: string, early?: string): Promise<Page> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId: context });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, sessionId, targetId);
    await page.open(url, early);
    return page;
  }

  async close(): Promise<void> {
    this.#process.kill('SIGTERM');
    const late = setTimeout(() => this.#process.kill('SIGKILL'), 5_000);
    await this.#gone;
    clearTimeout(late);
    // Its helpers outlive it a moment, and write on.
    for (const end = Date.now() + 30_000; ;) {
      try {
        return rmSync(this.#profile, { recursive: true, force: true });
      } catch (thrown) {
        if (Date.now() > end) throw thrown;
        await new Promise(resolve => setTimeout(resolve, 100));
      }
    }
  }

  #take({ id, result, error, method, params, sessionId }: any): void {
    if (id === undefined) return this.#handlers.get(`${sessionId} ${method}`)?.(params);
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) waiting?.reject(new Error(error.message));
    else waiting?.resolve(result);
  }
}

export class Page {
  /** What the page said on its console, errors first of all. */
  readonly console: string[] = [];

  constructor(private readonly browser: Browser, private readonly session: string, readonly target: string) {}

  async open(url: string, early?: string): Promise<void> {
    this.browser.on(this.session, 'Runtime.consoleAPICalled', ({ args }) =>
      this.console.push(args.map((one: any) => one.value ?? one.description).join(' ')));
    this.browser.on(this.session, 'Runtime.exceptionThrown', ({ exceptionDetails: details }) =>
      this.console.push(`EXCEPTION ${details.exception?.description ?? details.text}`));
    for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await this.send(`${domain}.enable`);
    this.browser.on(this.session, 'Log.entryAdded', ({ entry }) => this.console.push(`${entry.level} ${entry.text}`));
    if (early) await this.send('Page.addScriptToEvaluateOnNewDocument', { source: early });
    await this.#loaded('Page.navigate', { url });
  }

  reload(): Promise<void> {
    return this.#loaded('Page.reload', {});
  }

  async #loaded(method: string, params: object): Promise<void> {
    const loaded = new Promise<void>(resolve => this.browser.on(this.session, 'Page.loadEventFired', () => resolve()));
    await this.send(method, params);
    await loaded;
  }

  send(method: string, params: object = {}): Promise<any> {
    return this.browser.send(method, params, this.session);
  }

  /** The value of an expression, or of what it promises. */
  async eval<T = any>(expression: string): Promise<T> {
    const params = { expression, awaitPromise: true, returnByValue: true, userGesture: true };
    const { result, exceptionDetails: details } = await this.send('Runtime.evaluate', params);
    if (details) throw new Error(details.exception?.description ?? details.text);
    return result.value;
  }

  /** Waits until an expression is true. */
  async until(expression: string, ms = 60_000): Promise<void> {
    for (const end = Date.now() + ms; Date.now() < end;) {
      if (await this.eval(expression)) return;
      await new Promise(resolve => setTimeout(resolve, 25));
    }
    throw new Error(`not within ${ms} ms: ${expression}\n${this.console.slice(-20).join('\n')}`);
  }

  /**
   * Presses a key and lets it go.
   *
   * @param code  the virtual key's number
   * @param typed what the key types, if it does
   */
  async press(key: string, code: number, typed?: string): Promise<void> {
    for (const type of ['keyDown', 'keyUp']) {
      const text = type === 'keyDown' ? typed : undefined;
      await this.send('Input.dispatchKeyEvent', { type, key, code: key === ' ' ? 'Space' : key, windowsVirtualKeyCode: code, text });
    }
  }

  /** The browser believes that there is no network: new connections fail, and those that are open fall silent. */
  offline(offline: boolean): Promise<void> {
    return this.send('Network.emulateNetworkConditions', {
      offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1,
    });
  }

  /** The page's origin may keep so many bytes: what it has already stays. */
  async quota(bytes: number): Promise<void> {
    await this.send('Storage.overrideQuotaForOrigin', { origin: await this.eval('location.origin'), quotaSize: bytes });
  }

  async screenshot(file: string): Promise<void> {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
    writeFileSync(file, Buffer.from(data, 'base64'));
  }

  toFront(): Promise<void> {
    return this.send('Page.bringToFront');
  }

  close(): Promise<void> {
    return this.browser.send('Target.closeTarget', { targetId: this.target });
  }
}
