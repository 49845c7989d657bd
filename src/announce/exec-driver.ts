/** Announces by a command of the operator's own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { type AnnounceDriver, AnnounceDriverError, type Verification } from './driver.ts';
import { runProgram } from './process.ts';
import { ANNOUNCE_STATES, type AnnounceState } from './state.ts';

export interface ExecOptions {
  /** Program and first arguments; the state follows as the last. */
  readonly command: readonly string[];
  readonly timeoutMs: number;
  readonly deadManMs: number;
  readonly node: string;
  readonly pop: string;
  /** Where the lease is kept: what is announced, until when. */
  readonly stateDirectory: string;
}

interface Lease {
  readonly state: AnnounceState;
  /** Whose lease it is. */
  readonly holder: string;
  /** Seconds since the machine started. */
  readonly untilS: number;
}

/**
 * Waits for the agent's death, which closes its standard input, and then for the dead-man time. When
 * the lease is still that agent's, nobody has followed it: the command is told to withdraw.
 */
const WATCHER = `cat >/dev/null; sleep "$1"
grep -q "\\"holder\\":\\"$3\\"" "$2" || exit 0
shift 3; exec "$@" down`;

export class ExecDriver implements AnnounceDriver {
  readonly name = 'exec';
  readonly #options: ExecOptions;
  readonly #file: string;
  readonly #holder = `${process.pid}-${Math.round(performance.timeOrigin)}`;
  #watcher: ChildProcess | undefined;
  #last = '';
  #problem = 'not asked yet';

  constructor(options: ExecOptions) {
    this.#options = options;
    this.#file = join(options.stateDirectory, `announce-lease-${options.node}.json`);
  }

  async found(): Promise<AnnounceState> {
    try {
      const lease = JSON.parse(readFileSync(this.#file, 'utf8')) as Partial<Lease>;
      const isState = (ANNOUNCE_STATES as readonly unknown[]).includes(lease.state);
      const { deadManMs } = this.#options;
      const leftS = (lease.untilS ?? 0) - uptime();
      return isState && leftS > 0 && leftS <= deadManMs / 1_000 ? lease.state! : 'down';
    } catch {
      return 'down';
    }
  }

  async apply(state: AnnounceState, reason: string): Promise<void> {
    this.#keepLease(state);
    this.#watch();
    const { command, timeoutMs, deadManMs, node, pop } = this.#options;
    const result = await runProgram([...command, state], {
      timeoutMs,
      env: {
        HOLDFAST_STATE: state,
        HOLDFAST_REASON: reason,
        HOLDFAST_NODE: node,
        HOLDFAST_POP: pop,
        HOLDFAST_LEASE_S: String(Math.ceil(deadManMs / 1_000)),
      },
    });
    const said = result.stderr.trim().split('\n').at(-1) ?? '';
    this.#last = `${command.join(' ')} ${state}: exit code ${result.code ?? 'none'}`;
    if (result.error !== undefined) this.#problem = `cannot be run: ${result.error.message}`;
    else if (result.timedOut) this.#problem = `took longer than ${timeoutMs} ms and was killed`;
    else if (result.code !== 0) this.#problem = `exit code ${result.code ?? 'none'}: ${said}`;
    else this.#problem = '';
    if (this.#problem !== '') {
      throw new AnnounceDriverError(`${command.join(' ')} ${state}: ${this.#problem}`);
    }
  }

  async verify(): Promise<Verification> {
    const { command } = this.#options;
    const problem = this.#problem === '' ? '' : `${command.join(' ')} ${this.#problem}`;
    return { ok: problem === '', problem, found: this.#last === '' ? [] : [this.#last] };
  }

  /** The watcher notices, and does nothing when another agent takes the lease in time. */
  async close(): Promise<void> {
    this.#watcher?.stdin?.destroy();
  }

  #keepLease(state: AnnounceState): void {
    const { stateDirectory, deadManMs } = this.#options;
    const untilS = uptime() + deadManMs / 1_000;
    const lease: Lease = { state, holder: this.#holder, untilS };
    try {
      mkdirSync(stateDirectory, { recursive: true });
      writeFileSync(`${this.#file}.new`, JSON.stringify(lease));
      renameSync(`${this.#file}.new`, this.#file);
    } catch (error) {
      throw new AnnounceDriverError(
        `cannot write ${this.#file} (announce.stateDirectory): ${(error as Error).message}`,
        error,
      );
    }
  }

  #watch(): void {
    if (this.#watcher !== undefined) return;
    const { command, deadManMs } = this.#options;
    const words = [String(Math.ceil(deadManMs / 1_000)), this.#file, this.#holder, ...command];
    // A session of its own: signals to the agent's group are not for it.
    this.#watcher = spawn('sh', ['-c', WATCHER, 'holdfast-watcher', ...words], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      env: { ...process.env, HOLDFAST_STATE: 'down', HOLDFAST_REASON: 'the agent is gone' },
    });
    this.#watcher.on('error', () => undefined);
    this.#watcher.on('exit', () => {
      this.#watcher = undefined;
    });
    this.#watcher.stdin?.on('error', () => undefined);
    this.#watcher.unref();
    (this.#watcher.stdin as unknown as { unref(): void }).unref();
  }
}
