/** Processes of a benchmark: started on the CPUs meant for them, always stopped, by their ids. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError } from './errors.ts';
import { processTree } from './process-usage.ts';

const READY_MS = 15_000;
/** Between TERM and KILL. */
const STOP_MS = 4_000;
const STDERR_CHARS_MAX = 8_000;

export interface StartOptions {
  /** For messages. */
  readonly name: string;
  readonly argv: readonly string[];
  /** CPUs that it may use, as taskset(1) takes them. */
  readonly cpus?: string | undefined;
  /** Standard output is appended to this file; otherwise it can be read from the child. */
  readonly stdoutFile?: string | undefined;
  /** A channel for messages, for programs of our own. */
  readonly ipc?: boolean;
}

/** One of ours. */
export class BenchProcess {
  readonly name: string;
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
  #stderr = '';
  #stdout = '';
  #failure: Error | undefined;
  #ended = false;

  constructor(options: StartOptions) {
    const { argv, cpus, name, stdoutFile } = options;
    this.name = name;
    const [program = '', ...args] = cpus === undefined ? argv : ['taskset', '-c', cpus, ...argv];
    const stdout = stdoutFile === undefined ? 'pipe' : openSync(stdoutFile, 'a');
    this.child = spawn(program, args, {
      stdio: ['ignore', stdout, 'pipe', ...(options.ipc ? (['ipc'] as const) : [])],
      env: { PATH: process.env.PATH ?? '', LC_ALL: 'C' },
      // Ctrl-C in a terminal reaches a whole process group: these are stopped by us, in order.
      detached: true,
    });
    if (typeof stdout === 'number') closeSync(stdout);
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARS_MAX);
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (this.#stdout.length < 1_000_000) this.#stdout += text;
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.exited = promise;
    this.child.on('error', (error) => {
      this.#failure = error;
      this.#ended = true;
      resolve();
    });
    // Not 'exit': what it printed last must have been read.
    this.child.on('close', () => {
      this.#ended = true;
      resolve();
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** Why it does not run any more, with the end of what it said. */
  failure(): BenchError {
    const how =
      this.#failure?.message ??
      `exit code ${this.child.exitCode ?? this.child.signalCode ?? 'unknown'}`;
    const said = this.#stderr.trim();
    return new BenchError(
      `${this.name} ended (${how})${said === '' ? '' : `:\n${said}`}`,
      'ERR_BENCH_PROCESS',
      this.#failure,
    );
  }

  /** TERM, then KILL for it and whatever it started. Never rejects. */
  async stop(): Promise<void> {
    if (this.#ended || this.pid === 0) return;
    const tree = processTree(this.pid);
    signalProcess(this.pid, 'SIGTERM');
    const controller = new AbortController();
    const late = sleep(STOP_MS, 'late', { signal: controller.signal }).catch(() => 'ended');
    if ((await Promise.race([this.exited, late])) === 'late') {
      for (const pid of new Set([...tree, ...processTree(this.pid)])) signalProcess(pid, 'SIGKILL');
      await this.exited;
    }
    controller.abort();
  }
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** Everything that one benchmark started. */
export class BenchProcesses {
  readonly #running = new Set<BenchProcess>();
  #closed = false;

  /** @throws BenchError `ERR_BENCH_INTERRUPTED` when all of them are being stopped. */
  start(options: StartOptions): BenchProcess {
    if (this.#closed) throw new BenchError('the benchmark was stopped', 'ERR_BENCH_INTERRUPTED');
    const started = new BenchProcess(options);
    this.#running.add(started);
    started.exited.then(() => this.#running.delete(started));
    return started;
  }

  /** Starts a server and waits until it accepts connections. */
  async startServer(options: StartOptions & { port: number }): Promise<BenchProcess> {
    const started = this.start(options);
    const untilMs = performance.now() + READY_MS;
    while (!(await accepts(options.port))) {
      if (started.ended) throw started.failure();
      if (performance.now() > untilMs) {
        await started.stop();
        throw new BenchError(
          `${options.name} accepts no connections after ${READY_MS / 1_000} s`,
          'ERR_BENCH_PROCESS',
        );
      }
      await sleep(30);
    }
    return started;
  }

  /** Stops everything and lets nothing start any more. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#running].map((running) => running.stop()));
  }
}

function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: '127.0.0.1', port });
  socket.once('connect', () => {
    socket.resetAndDestroy();
    resolve(true);
  });
  socket.once('error', () => resolve(false));
  return promise;
}
