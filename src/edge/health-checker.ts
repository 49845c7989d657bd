/**
 * Asks origins for their health at intervals. A shell: it owns the sockets and the timers; rise and
 * fall are decided by `HealthState`.
 *
 * Each check is one GET on a connection of its own, so it also finds an origin that no longer
 * accepts. The certificate of a TLS origin is verified. The body is read and dropped.
 */
import { Client } from 'undici';
import type { Origin } from '../config/origin.ts';
import type { HealthConfig } from '../config/schema.ts';
import { HealthState } from './health.ts';
import { keyHash } from './key-hash.ts';

/** What is read of a body before the answer counts as complete. */
const BODY_BYTES_MAX = 65_536;
/** Largest head of an answer. */
const HEAD_BYTES_MAX = 16_384;

export interface HealthTarget {
  /** Name of the route that asks. One origin may be checked for several routes. */
  readonly key: string;
  readonly origin: Origin;
  readonly health: HealthConfig;
}

/** The two levels that are written; a pino logger is one. */
export interface HealthLog {
  info(facts: object, text: string): void;
  warn(facts: object, text: string): void;
}

export interface HealthCheckerOptions {
  readonly targets: readonly HealthTarget[];
  /** Those of them that are known to be unhealthy. Default: none. */
  readonly unhealthy?: readonly { readonly key: string; readonly originId: string }[];
  /** A transition. `reason` says what the deciding check found. Must not throw. */
  readonly onChange: (key: string, originId: string, healthy: boolean, reason: string) => void;
  readonly log: HealthLog;
}

export class HealthChecker {
  readonly #onChange: HealthCheckerOptions['onChange'];
  readonly #log: HealthLog;
  readonly #checks = new Map<string, Check>();
  readonly #unhealthyAtStart: Set<string>;
  #running = false;

  /** Checks nothing until {@link start}. */
  constructor(options: HealthCheckerOptions) {
    this.#onChange = options.onChange;
    this.#log = options.log;
    this.#unhealthyAtStart = new Set(
      options.unhealthy?.map(({ key, originId }) => `${key}\n${originId}`),
    );
    this.update(options.targets);
    this.#unhealthyAtStart.clear();
  }

  /** Begins checking. The first checks are spread over their interval. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    for (const check of this.#checks.values()) check.start();
  }

  /** Ends all checks at once; a check under way reports nothing more. May be started again. */
  stop(): void {
    this.#running = false;
    for (const check of this.#checks.values()) check.stop();
  }

  /**
   * Replaces the targets. One that is the same goes on undisturbed. One whose settings changed
   * begins anew in the state it was in. One that is gone is reported healthy if it was not: nobody
   * would ever say so again.
   */
  update(targets: readonly HealthTarget[]): void {
    const wanted = new Map(targets.map((target) => [identityOf(target), target]));
    for (const [identity, check] of this.#checks) {
      if (wanted.has(identity)) continue;
      check.stop();
      this.#checks.delete(identity);
      if (!check.healthy) this.#changed(check.target, true, 'no longer checked');
    }
    for (const [identity, target] of wanted) {
      const before = this.#checks.get(identity);
      if (before !== undefined && sameSettings(before.target, target)) continue;
      before?.stop();
      const known = !this.#unhealthyAtStart.has(`${target.key}\n${target.origin.id}`);
      const check = new Check(target, before?.healthy ?? known, (healthy, reason) =>
        this.#changed(target, healthy, reason),
      );
      this.#checks.set(identity, check);
      if (this.#running) check.start();
    }
  }

  #changed(target: HealthTarget, healthy: boolean, reason: string): void {
    const { key, origin } = target;
    const facts = { route: key, origin: origin.id, url: origin.url, reason };
    if (healthy) this.#log.info(facts, 'origin is healthy');
    else this.#log.warn(facts, 'origin is unhealthy');
    this.#onChange(key, origin.id, healthy, reason);
  }
}

function identityOf(target: HealthTarget): string {
  return `${target.key}\n${target.origin.id}\n${target.origin.url}`;
}

function sameSettings(a: HealthTarget, b: HealthTarget): boolean {
  return JSON.stringify(a.health) === JSON.stringify(b.health);
}

/** One target, checked again and again. */
class Check {
  readonly target: HealthTarget;
  readonly #state: HealthState;
  readonly #onChange: (healthy: boolean, reason: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #abort: (() => void) | undefined;

  constructor(
    target: HealthTarget,
    healthy: boolean,
    onChange: (healthy: boolean, reason: string) => void,
  ) {
    this.target = target;
    this.#state = new HealthState(target.health, healthy);
    this.#onChange = onChange;
  }

  get healthy(): boolean {
    return this.#state.healthy;
  }

  start(): void {
    // By a hash, not at random: two workers then differ no more than they must, and a test can tell.
    const share = keyHash(identityOf(this.target)) / 2 ** 32;
    this.#schedule(share * this.target.health.intervalMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#abort?.();
    this.#abort = undefined;
  }

  #schedule(delayMs: number): void {
    this.#timer = setTimeout(() => this.#run(), delayMs);
    // Checks alone must not keep a process alive.
    this.#timer.unref();
  }

  #run(): void {
    const startedMs = performance.now();
    this.#abort = probe(this.target, (fault) => {
      this.#abort = undefined;
      const spentMs = performance.now() - startedMs;
      this.#schedule(Math.max(0, this.target.health.intervalMs - spentMs));
      const transition = this.#state.report(fault === undefined);
      if (transition !== undefined) this.#onChange(transition === 'up', fault ?? 'check passed');
    });
  }
}

/**
 * One check. Calls `done` exactly once, later, with what is wrong or `undefined`; never after the
 * returned function was called, which ends the check at once.
 */
function probe(target: HealthTarget, done: (fault: string | undefined) => void): () => void {
  const { timeoutMs } = target.health;
  const controller = new AbortController();
  let isOver = false;
  const end = () => {
    isOver = true;
    clearTimeout(timer);
    controller.abort();
  };
  const finish = (fault: string | undefined) => {
    if (isOver) return;
    end();
    done(fault);
  };
  const timer = setTimeout(
    () => finish(`no complete answer within ${timeoutMs} ms (timeoutMs)`),
    timeoutMs,
  );
  timer.unref();
  void askOnce(target, controller.signal).then(finish);
  return end;
}

/** Resolves to what is wrong, or to `undefined`. Never rejects; limits of time are the signal's. */
async function askOnce(
  { origin, health }: HealthTarget,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (/[^\x21-\xff]/.test(health.path)) return 'health.path has unescaped characters';
  const client = new Client(origin.url, {
    maxHeaderSize: HEAD_BYTES_MAX,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: health.timeoutMs },
  });
  try {
    const { statusCode, body } = await client.request({
      method: 'GET',
      path: health.path,
      headers: {
        'user-agent': 'holdfast-health',
        ...(health.host === undefined ? {} : { host: health.host }),
      },
      reset: true,
      signal,
    });
    let bytes = 0;
    for await (const chunk of body) {
      bytes += (chunk as Buffer).length;
      if (bytes >= BODY_BYTES_MAX) break;
    }
    return isAccepted(statusCode, health.status) ? undefined : `status ${statusCode}`;
  } catch (error) {
    return textOf(error);
  } finally {
    client.destroy().catch(() => undefined);
  }
}

function isAccepted(status: number, accepted: readonly number[]): boolean {
  if (accepted.length === 0) return status >= 200 && status < 400;
  return accepted.includes(status);
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code;
  // An AggregateError of several addresses has no text of its own.
  if (error.message === '') return code ?? error.name;
  return code === undefined || error.message.includes(code)
    ? error.message
    : `${code}: ${error.message}`;
}
