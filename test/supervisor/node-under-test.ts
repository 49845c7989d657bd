/** A real `holdfast run` in a child process, on ports that the kernel chooses, for tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type WebSocket, WebSocketServer } from 'ws';
import type { NodeStatus } from '../../src/node.ts';

export const program = fileURLToPath(new URL('../../bin/holdfast.js', import.meta.url));
/** No step of a test may take longer; the machine may be busy. */
export const patienceMs = 60_000;

/** Waits until `probe` gives something; rejects with what it was waiting for. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const endMs = performance.now() + patienceMs;
  while (performance.now() < endMs) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`waited in vain for: ${what}`);
}

const TOOK_OVER = 'upgrade: the next release took over';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One request on a connection of its own. */
export function ask(
  url: string,
  options: { method?: string; host?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = options.host === undefined ? {} : { host: options.host };
    const asked = request(
      url,
      { method: options.method ?? 'GET', agent: false, headers },
      (reply) => {
        let text = '';
        reply.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        reply.on('error', reject);
        reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text }));
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}

/** An origin with a name, `/slow` (answers when told to) and a WebSocket echo. */
export class TestOrigin {
  readonly name: string;
  readonly #sockets = new Set<WebSocket>();
  readonly #server = createServer((asked, reply) => this.#answer(asked, reply));
  healthy = true;
  readonly waiting: ServerResponse[] = [];

  constructor(name: string) {
    this.name = name;
    const echo = new WebSocketServer({ server: this.#server });
    echo.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('message', (data) => socket.send(`${name}:${data}`));
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    for (const socket of this.#sockets) socket.terminate();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #answer(asked: IncomingMessage, reply: ServerResponse): void {
    if (asked.url === '/health') reply.writeHead(this.healthy ? 200 : 500).end();
    else if (asked.url === '/slow') this.waiting.push(reply);
    else reply.end(`${this.name} ${asked.url}`);
  }
}

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** Runs a command to its end. */
export async function holdfast(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Exit & { stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [program, ...args], {
    env: { ...cleanEnv(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  return { code, signal, stdout, stderr };
}

/** The environment without anything that would change a node. */
export function cleanEnv(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('HOLDFAST_')),
  );
}

export class NodeUnderTest {
  readonly directory = mkdtempSync(join(tmpdir(), 'holdfast-node-'));
  readonly file = join(this.directory, 'holdfast.yaml');
  readonly exit: Promise<Exit>;
  readonly #child: ChildProcess;
  stdout = '';
  stderr = '';
  /** Addresses, once it is up. */
  url = '';
  admin = '';

  /** Starts `holdfast run` with this file. Listeners and admin should be on port 0. */
  constructor(yaml: string, args: readonly string[] = [], env: Record<string, string> = {}) {
    writeFileSync(this.file, yaml);
    this.#child = spawn(process.execPath, [program, 'run', '--config', this.file, ...args], {
      env: { ...cleanEnv(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Leads a process group of its own, as under a terminal.
      detached: true,
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.stdout += chunk;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk;
    });
    this.exit = once(this.#child, 'close').then(([code, signal]) => ({ code, signal }) as Exit);
  }

  /** Resolves when all workers are up. */
  async up(): Promise<this> {
    await eventually('the node to come up', () => {
      if (this.#child.exitCode !== null) throw new Error(`it ended:\n${this.stderr}`);
      return this.logged('node is up').length > 0;
    });
    const facts = this.logged('node is up')[0] as { listeners: string[]; admin?: string };
    this.url = facts.listeners[0] ?? '';
    this.admin = facts.admin ?? '';
    return this;
  }

  /** Of the supervisor that was started; see {@link mainPid}. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Of the supervisor that is the node now. */
  get mainPid(): number {
    return (this.logged(TOOK_OVER).at(-1)?.newPid as number | undefined) ?? this.pid;
  }

  /** Log lines with this message. */
  logged(message: string): Record<string, unknown>[] {
    return jsonLines(this.stderr).filter((line) => line.msg === message);
  }

  get accessLines(): Record<string, unknown>[] {
    return jsonLines(this.stdout);
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.mainPid, signal);
  }

  /** Runs a command that talks to its admin server. */
  command(...args: string[]): ReturnType<typeof holdfast> {
    return holdfast([...args, '--admin', this.admin.replace('http://', '')]);
  }

  /** As a terminal does with Ctrl-C. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-this.pid, signal);
  }

  write(yaml: string): void {
    writeFileSync(this.file, yaml);
  }

  async status(): Promise<NodeStatus> {
    const { text } = await ask(`${this.admin}/status`);
    return JSON.parse(text) as NodeStatus;
  }

  /** The value of one metric line, by its exact start. */
  async metric(start: string): Promise<number> {
    const { text } = await ask(`${this.admin}/metrics`);
    const line = text.split('\n').find((each) => each.startsWith(`${start} `));
    return Number(line?.slice(start.length + 1));
  }

  /** Ends it, whatever it does, and removes its files. */
  async dispose(): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL');
    // Also supervisors of later releases, and what the end of one leaves behind.
    for (const { pid, newPid, workerPid } of jsonLines(this.stderr)) {
      for (const each of [pid, newPid, workerPid]) if (typeof each === 'number') killOurs(each);
    }
    await this.exit;
    rmSync(this.directory, { recursive: true });
  }
}

/** Ends a process that outlived its test, if the pid is still one of ours. */
function killOurs(pid: number): void {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    if (/src\/worker\.ts|holdfast\.js\0run/.test(command)) process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}

function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
