/** The release that is to follow, seen from the one that starts it. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Logger } from 'pino';
import { HoldfastError } from '../errors.ts';
import type { InheritedSocket } from './inheritance.ts';
import type { ToPredecessor, ToSuccessor } from './upgrade-messages.ts';

/** One that was told to give up ends its agent, which takes a second. */
const GIVE_UP_MS = 8_000;

export interface SuccessorOptions {
  readonly log: Logger;
  /** The program, a JavaScript file, and its arguments. */
  readonly file: string;
  readonly args: readonly string[];
  readonly environment: Record<string, string>;
  /** Passed on as descriptors from 3 on, in this order. */
  readonly sockets: readonly InheritedSocket[];
  /** From its start until it is ready, milliseconds. */
  readonly readyMs: number;
  /** What it asks for once it has taken over. */
  readonly onMessage: (message: ToPredecessor) => void;
}

/** It did not become ready. The old release goes on. `ERR_UPGRADE`. */
export class UpgradeError extends HoldfastError {
  constructor(message: string, cause?: unknown) {
    super(message, { code: 'ERR_UPGRADE', source: 'internal', retryable: true, cause });
  }
}

type Step = Extract<ToPredecessor['type'], 'needAgent' | 'ready' | 'gaveUp'>;

export class Successor {
  readonly #options: SuccessorOptions;
  readonly #child: ChildProcess;
  readonly #timer: NodeJS.Timeout;
  readonly #gone: Promise<void>;
  readonly #steps: Record<Step, PromiseWithResolvers<void>> = {
    needAgent: Promise.withResolvers(),
    ready: Promise.withResolvers(),
    gaveUp: Promise.withResolvers(),
  };
  #tookOver = false;

  /** Starts it. Whether it can be started at all is told by {@link until}. */
  constructor(options: SuccessorOptions) {
    this.#options = options;
    const { file, args, environment, sockets, readyMs } = options;
    for (const { promise } of Object.values(this.#steps)) promise.catch(() => undefined);
    this.#child = spawn(process.execPath, [...process.execArgv, file, ...args], {
      env: { ...process.env, ...environment },
      stdio: ['inherit', 'inherit', 'inherit', ...sockets.map(({ fd }) => fd), 'ipc'],
    });
    this.#child.on('message', (message: ToPredecessor) => this.#received(message));
    this.#gone = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#fail(`the new release cannot be started: ${error.message}`);
        if (this.#child.pid === undefined) resolve();
      });
      this.#child.once('exit', (code, signal) => {
        this.#fail(
          `the new release ended with ${signal ?? `exit code ${code}`} before it was ready`,
        );
        resolve();
      });
    });
    this.#timer = setTimeout(() => {
      this.#fail(`the new release was not ready within ${readyMs / 1_000} s (upgrade.readyMs)`);
    }, readyMs);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves when it has come so far. Rejects with {@link UpgradeError} when it never will. */
  until(step: Step): Promise<void> {
    return this.#steps[step].promise;
  }

  /** Never throws: that it is gone is told by its exit. */
  tell(message: ToSuccessor): void {
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** It is the node now. */
  takeOver(): void {
    this.#tookOver = true;
    clearTimeout(this.#timer);
    this.tell({ type: 'takeOver' });
  }

  /**
   * Makes it end. Resolves when its agent has ended, so that another can take its place; connections
   * that it accepted may outlive this.
   */
  async end(): Promise<void> {
    clearTimeout(this.#timer);
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), GIVE_UP_MS);
    this.tell({ type: 'giveUp' });
    await Promise.race([this.until('gaveUp'), this.#gone]);
    clearTimeout(killer);
    this.#release();
  }

  /** Says the last word and lets go of it. */
  async farewell(message: ToSuccessor): Promise<void> {
    if (this.#child.connected) {
      await new Promise<void>((resolve) => {
        this.#child.send(message, () => resolve());
      });
    }
    this.#release();
  }

  #release(): void {
    if (this.#child.connected) this.#child.disconnect();
    this.#child.unref();
  }

  #received(message: ToPredecessor): void {
    switch (message.type) {
      case 'needAgent':
      case 'ready':
      case 'gaveUp':
        this.#steps[message.type].resolve();
        break;
      case 'failed':
        this.#fail(`the new release cannot start: ${message.message}`);
        break;
      default:
        if (this.#tookOver) this.#options.onMessage(message);
    }
  }

  #fail(text: string): void {
    if (this.#tookOver) return;
    const error = new UpgradeError(text);
    // Whether it gives up is still of interest.
    this.#steps.needAgent.reject(error);
    this.#steps.ready.reject(error);
  }
}
