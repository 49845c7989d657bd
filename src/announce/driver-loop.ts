/**
 * Keeps a driver at the wanted state: tells it of changes, renews within the dead-man time, tries
 * again after failures, asks whether it took.
 */
import type { AnnounceDriver, Verification } from './driver.ts';
import type { AnnounceState } from './state.ts';

/** What the routing is known to do. */
export interface Routing {
  readonly driver: string;
  /** As it was last told with success; `null` before. */
  readonly applied: AnnounceState | null;
  readonly ok: boolean;
  /** What is wrong and how to mend it; empty when ok. */
  readonly problem: string;
  readonly found: readonly string[];
}

/** Renewals within the dead-man time: two may fail. */
const RENEWALS = 3;
const VERIFY_MS = 5_000;
/** After a change, from question to question while the routing does not follow yet. */
const VERIFY_SOON_MS = 100;
/** After a change the routing has this long to follow before it is said not to. */
const FOLLOW_MS = 1_500;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 5_000;
const UNKNOWN: Verification = { ok: false, problem: 'not asked yet', found: [] };

export class DriverLoop {
  readonly #driver: AnnounceDriver;
  readonly #renewMs: number;
  readonly #changed: (routing: Routing) => void;
  #wanted: { state: AnnounceState; reason: string } | undefined;
  #applied: AnnounceState | null = null;
  #appliedMs = 0;
  /** What the verification is about. */
  #verified: AnnounceState | null = null;
  #failure = '';
  #verification: Verification = UNKNOWN;
  #retryMs = RETRY_MIN_MS;
  #running = false;
  #again = false;
  readonly #waiting = new Set<() => void>();
  #applyTimer: NodeJS.Timeout | undefined;
  #verifyTimer: NodeJS.Timeout | undefined;
  #told = '';
  #closed = false;

  /** @param changed Told when {@link Routing.problem} changes. */
  constructor(driver: AnnounceDriver, deadManMs: number, changed: (routing: Routing) => void) {
    this.#driver = driver;
    this.#renewMs = deadManMs / RENEWALS;
    this.#changed = changed;
  }

  get routing(): Routing {
    const { ok, problem, found } = this.#verification;
    const failed = this.#failure !== '';
    return {
      driver: this.#driver.name,
      applied: this.#applied,
      ok: ok && !failed,
      problem: failed ? this.#failure : problem,
      found,
    };
  }

  /** Wants that state from now on. Returns at once. */
  want(state: AnnounceState, reason: string): void {
    this.#wanted = { state, reason };
    this.#retryMs = RETRY_MIN_MS;
    this.#run();
  }

  /** Resolves when what is wanted now was told, or could not be within that time. */
  settled(waitMs: number): Promise<void> {
    return this.#until(waitMs, () => !this.#running);
  }

  /**
   * Resolves when {@link routing} is about what is wanted now: the routing was told and asked, or
   * could not be told. At the latest after that time.
   */
  followed(waitMs: number): Promise<void> {
    const isAsked = () => this.#failure !== '' || this.#verified === this.#applied;
    return this.#until(waitMs, () => !this.#running && isAsked());
  }

  /** Renews once more, so that a successor has the whole time, and lets go. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#run();
    await this.settled(this.#renewMs);
    this.#closed = true;
    clearTimeout(this.#applyTimer);
    clearTimeout(this.#verifyTimer);
    await this.#driver.close();
  }

  #run(): void {
    if (this.#closed || this.#wanted === undefined) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#applyTimer);
    this.#running = true;
    void this.#apply().then(() => {
      this.#running = false;
      if (this.#again) {
        this.#again = false;
        this.#run();
      }
      this.#wake();
    });
  }

  async #until(waitMs: number, good: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (good()) resolve();
    };
    const timer = setTimeout(resolve, waitMs);
    this.#waiting.add(look);
    look();
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(look);
  }

  #wake(): void {
    for (const look of this.#waiting) look();
  }

  async #apply(): Promise<void> {
    const { state, reason } = this.#wanted!;
    let nextMs = this.#renewMs;
    try {
      await this.#driver.apply(state, reason);
      if (this.#applied !== state) {
        this.#applied = state;
        this.#appliedMs = performance.now();
        this.#verified = null;
        this.#verifyIn(VERIFY_SOON_MS);
      }
      this.#failure = '';
      this.#retryMs = RETRY_MIN_MS;
    } catch (error) {
      this.#failure = (error as Error).message;
      nextMs = this.#retryMs;
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS, this.#renewMs);
    }
    this.#tell();
    if (!this.#closed) this.#applyTimer = setTimeout(() => this.#run(), nextMs);
    if (this.#verifyTimer === undefined) this.#verifyIn(VERIFY_SOON_MS);
  }

  #verifyIn(ms: number): void {
    if (this.#closed) return;
    clearTimeout(this.#verifyTimer);
    this.#verifyTimer = setTimeout(() => void this.#verify(), ms);
  }

  async #verify(): Promise<void> {
    const asked = this.#applied;
    if (asked !== null) {
      const verification = await this.#driver.verify(asked);
      const isEarly = performance.now() - this.#appliedMs < FOLLOW_MS;
      // What was asked of the state before says nothing about this one.
      if (asked !== this.#applied || (!verification.ok && isEarly)) {
        this.#verifyIn(VERIFY_SOON_MS);
        return;
      }
      this.#verification = verification;
      this.#verified = asked;
      this.#tell();
      this.#wake();
    }
    // What is not as it should be is looked at more often.
    this.#verifyIn(this.#verification.ok ? VERIFY_MS : VERIFY_MS / 2);
  }

  #tell(): void {
    const { routing } = this;
    if (this.#verification === UNKNOWN && this.#failure === '') return;
    if (routing.problem === this.#told) return;
    this.#told = routing.problem;
    this.#changed(routing);
  }
}
