/** Long-running programs inside a namespace, with their output in a log file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { labEnvironment } from './command.ts';
import { LabError } from './errors.ts';

const LOG_TAIL_LINES = 15;
const END_TIMEOUT_MS = 10_000;

/**
 * `argv` as run inside a namespace. nsenter and not `ip netns exec`: the latter also makes a mount
 * namespace, in which a mounted bpffs would not be seen. The pid stays the same over the exec.
 * Without a namespace: as it is.
 */
export function insideNamespace(namespace: string | undefined, argv: readonly string[]): string[] {
  if (namespace === undefined) return [...argv];
  return ['nsenter', `--net=/run/netns/${namespace}`, '--', ...argv];
}

export interface DaemonPlan {
  /** For messages: `bird on pop-a`. */
  readonly title: string;
  readonly namespace: string;
  readonly argv: readonly string[];
  /** Gets standard output and standard error. */
  readonly logFile: string;
  /** Where the program itself logs, when that is another file. */
  readonly ownLogFile?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A program that was started and is meant to stay. */
export class Daemon {
  readonly plan: DaemonPlan;
  readonly #child: ChildProcess;
  #ended: string | undefined;

  private constructor(plan: DaemonPlan, child: ChildProcess) {
    this.plan = plan;
    this.#child = child;
    child.on('error', (error) => {
      this.#ended = error.message;
    });
    child.on('exit', (code, signal) => {
      this.#ended = signal === null ? `exit code ${code}` : `signal ${signal}`;
    });
    // The lab outlives the process that made it when the user asked for `lab up`.
    child.unref();
  }

  static async start(plan: DaemonPlan): Promise<Daemon> {
    const log = await open(plan.logFile, 'a', 0o644);
    try {
      const [program = '', ...args] = insideNamespace(plan.namespace, plan.argv);
      const child = spawn(program, args, {
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        env: { ...labEnvironment(), ...plan.environment },
        cwd: '/',
      });
      return new Daemon(plan, child);
    } finally {
      await log.close();
    }
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Asks it to end, and kills it when it does not within 10 s. Resolves when it has ended. */
  async end(): Promise<void> {
    const deadline = performance.now() + END_TIMEOUT_MS;
    if (this.#ended === undefined) this.#child.kill('SIGTERM');
    while (this.#ended === undefined) {
      if (performance.now() > deadline) this.#child.kill('SIGKILL');
      await sleep(10);
    }
  }

  /** @throws LabError `ERR_LAB_DAEMON` with the end of its log when it has ended. */
  async requireRunning(): Promise<void> {
    if (this.#ended === undefined) return;
    throw await this.failure(`${this.plan.title} ended (${this.#ended})`);
  }

  /** An error that shows the end of this program's logs. */
  async failure(what: string): Promise<LabError> {
    const files = [this.plan.logFile, this.plan.ownLogFile].filter((file) => file !== undefined);
    const tails = await Promise.all(files.map(logTail));
    const shown = files.map((file, index) => `${file}:\n${tails[index]}`).join('\n');
    return new LabError(`${what}\n${shown}`, 'ERR_LAB_DAEMON');
  }
}

async function logTail(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const lines = text.trimEnd().split('\n').slice(-LOG_TAIL_LINES);
  return lines.map((line) => `  ${line || '(empty)'}`).join('\n');
}

export interface WaitOptions {
  /** What is waited for, for the error: `nginx on pop-a does not answer`. */
  readonly complaint: string;
  readonly timeoutMs: number;
  readonly everyMs?: number;
  /** Asked first each time: when one of these has ended, waiting is pointless. */
  readonly daemons?: readonly Daemon[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks until the answer is yes.
 * @throws LabError `ERR_LAB_DAEMON` after `timeoutMs`, with the daemons' logs.
 */
export async function waitUntil(
  ready: () => Promise<boolean>,
  options: WaitOptions,
): Promise<void> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    for (const daemon of options.daemons ?? []) await daemon.requireRunning();
    if (await ready()) return;
    if (performance.now() > deadline) {
      const text = `${options.complaint} (waited ${options.timeoutMs / 1_000} s)`;
      const daemon = options.daemons?.[0];
      throw daemon === undefined
        ? new LabError(text, 'ERR_LAB_DAEMON')
        : await daemon.failure(text);
    }
    await sleep(options.everyMs ?? 50);
  }
}
