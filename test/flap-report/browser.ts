/** A headless Chromium that opens local files: what it drew, said and asked the network for. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';

const CHROMIUM = '/usr/bin/chromium';
const START_MS = 30_000;
const ANSWER_MS = 20_000;

/** Why there can be no browser here; `false` when there can. */
export const noBrowser: string | false = existsSync(CHROMIUM) ? false : 'chromium is not installed';

export interface Look {
  readonly width: number;
  readonly dark: boolean;
}

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** Speaks the DevTools protocol with one page. */
export class Browser {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #sent = 0;
  /** Errors and warnings of the page, and programs that its policy refused. */
  readonly complaints: string[] = [];
  /** What was asked for besides the page itself. */
  readonly requests: string[] = [];

  static async start(): Promise<Browser> {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-chromium-'));
    const child = spawn(
      CHROMIUM,
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--disable-dev-shm-usage',
        '--remote-debugging-port=0',
        `--user-data-dir=${directory}`,
        'about:blank',
      ],
      { stdio: 'ignore', detached: true },
    );
    try {
      const port = await portOf(join(directory, 'DevToolsActivePort'), child);
      const answer = await fetch(`http://127.0.0.1:${port}/json/list`);
      const pages = (await answer.json()) as { type: string; webSocketDebuggerUrl: string }[];
      const page = pages.find(({ type }) => type === 'page');
      if (page === undefined) throw new Error('chromium has no page');
      const socket = new WebSocket(page.webSocketDebuggerUrl, { perMessageDeflate: false });
      await once(socket, 'open');
      return new Browser(child, directory, socket);
    } catch (error) {
      await end(child, directory);
      throw error;
    }
  }

  private constructor(child: ChildProcess, directory: string, socket: WebSocket) {
    this.#child = child;
    this.#directory = directory;
    this.#socket = socket;
    socket.on('message', (data) => this.#receive(JSON.parse(String(data)) as Answer));
  }

  /** Opens a file; everything that it draws at once is drawn when this resolves. */
  async open(path: string, { width, dark }: Look): Promise<void> {
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await this.#ask(`${domain}.enable`);
    await this.#ask('Emulation.setDeviceMetricsOverride', {
      width,
      height: 900,
      deviceScaleFactor: 1,
      mobile: width < 600,
    });
    await this.#ask('Emulation.setEmulatedMedia', {
      features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }],
    });
    await this.#ask('Page.navigate', { url: `file://${path}` });
    for (let tries = 0; tries < 200; tries += 1) {
      if ((await this.evaluate('document.readyState')) === 'complete') break;
      await sleep(25);
    }
    // Two frames: one to lay out, one to draw.
    await this.evaluate(
      'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))',
    );
  }

  /** The value of an expression in the page. */
  async evaluate(expression: string): Promise<unknown> {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = (await this.#ask('Runtime.evaluate', options)) as {
      result: { value?: unknown };
      exceptionDetails?: { text: string };
    };
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.text);
    return result.value;
  }

  /** The page as PNG, or a part of it. */
  async screenshot(part?: {
    x: number;
    y: number;
    width: number;
    height: number;
  }): Promise<Buffer> {
    const { data } = (await this.#ask('Page.captureScreenshot', {
      captureBeyondViewport: true,
      ...(part === undefined ? {} : { clip: { ...part, scale: 1 } }),
    })) as { data: string };
    return Buffer.from(data, 'base64');
  }

  async close(): Promise<void> {
    this.#socket.terminate();
    await end(this.#child, this.#directory);
  }

  #receive({ id, method, params, result, error }: Answer): void {
    if (id !== undefined) {
      this.#waiting.get(id)?.({
        ...(result === undefined ? {} : { result }),
        ...(error === undefined ? {} : { error }),
      });
      this.#waiting.delete(id);
    } else if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded') {
      this.complaints.push(JSON.stringify(params));
    } else if (method === 'Runtime.consoleAPICalled') {
      this.complaints.push(JSON.stringify(params?.args));
    } else if (method === 'Network.requestWillBeSent') {
      const { url } = (params as { request: { url: string } }).request;
      if (!url.startsWith('file:') && !url.startsWith('data:')) this.requests.push(url);
    }
  }

  async #ask(method: string, params: object = {}): Promise<Record<string, unknown>> {
    this.#sent += 1;
    const id = this.#sent;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const late = setTimeout(() => reject(new Error(`no answer to ${method}`)), ANSWER_MS);
    this.#waiting.set(id, resolve);
    this.#socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await promise.finally(() => clearTimeout(late));
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }
}

async function portOf(file: string, child: ChildProcess): Promise<number> {
  const untilMs = performance.now() + START_MS;
  while (performance.now() < untilMs) {
    if (child.exitCode !== null) throw new Error(`chromium ended with ${child.exitCode}`);
    const text = await readFile(file, 'utf8').catch(() => '');
    const port = Number(text.split('\n')[0]);
    if (port > 0) return port;
    await sleep(50);
  }
  throw new Error('chromium did not start');
}

/** Chromium's processes are a group of their own, made by us. */
async function end(child: ChildProcess, directory: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const ended = once(child, 'exit');
    process.kill(-child.pid, 'SIGKILL');
    await ended;
  }
  await rm(directory, { recursive: true, force: true, maxRetries: 10 });
}
