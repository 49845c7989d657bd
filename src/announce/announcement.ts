/** A node's announcement: looks once a second, decides, and keeps the routing at it. */
import { uptime } from 'node:os';
import { type AnnounceRecord, type KeptDrain, RecordFile } from './announce-record.ts';
import {
  Announcer,
  type AnnouncerOptions,
  type Cause,
  type Hold,
  type Observation,
} from './announcer.ts';
import type { DrainPhase } from './drain-plan.ts';
import type { AnnounceDriver } from './driver.ts';
import { DriverLoop, type Routing } from './driver-loop.ts';
import type { AnnounceState } from './state.ts';

/** How often everything is looked at. */
const LOOK_MS = 1_000;
/** A command waits this long for the routing to follow, so that it can say whether it does. */
const FOLLOW_MS = 2_000;

/** The levels that are written; a pino logger is one. */
export interface AnnounceLog {
  info(facts: object, text: string): void;
  warn(facts: object, text: string): void;
}

export interface AnnouncementOptions extends AnnouncerOptions {
  readonly node: string;
  readonly deadManMs: number;
  readonly stateDirectory: string;
  readonly drain: { readonly convergeMs: number; readonly deadlineMs: number };
}

export interface AnnouncementDeps {
  readonly log: AnnounceLog;
  readonly driver: AnnounceDriver;
  /** Everything that is known now. */
  look(): Observation;
  /** Packets of this node's sessions that other nodes have brought to it since its start. */
  delivered(): number;
  /** Tells the other nodes. Called after each look; cheap when nothing changed. */
  tell(state: AnnounceState, offers: AnnounceState): void;
  setDraining(draining: boolean): void;
  /** Told of each phase. In `closing`, sessions shall end; {@link Announcement.closed} follows. */
  onDrain(phase: DrainPhase | 'resumed'): void;
}

export interface DrainStatus {
  readonly phase: DrainPhase;
  readonly elapsedMs: number;
  /** 0 when that has come. */
  readonly withdrawInMs: number;
  readonly deadlineInMs: number;
  readonly sessions: number;
  readonly sessionsAtStart: number;
  /** Packets that other nodes have brought since the start of the drain. */
  readonly healed: number;
}

export interface AnnouncementStatus {
  readonly state: AnnounceState;
  readonly cause: Cause;
  readonly sinceMs: number;
  /** Empty when all is well. */
  readonly reasons: readonly string[];
  readonly hold: Hold;
  /** When the hold was said, ISO 8601; empty for `auto`. */
  readonly holdAt: string;
  /** What this node would do for the others. */
  readonly offers: AnnounceState;
  /** Other nodes that are well by their own health. */
  readonly othersWell: number;
  /** Since the start of the agent. */
  readonly changes: number;
  readonly routing: Routing;
  readonly drain: DrainStatus | null;
}

export class Announcement {
  readonly #options: AnnouncementOptions;
  readonly #deps: AnnouncementDeps;
  readonly #announcer: Announcer;
  readonly #loop: DriverLoop;
  readonly #file: RecordFile;
  readonly #timer: NodeJS.Timeout;
  #record: AnnounceRecord;
  #keepsDrain = false;
  #said: AnnounceState;
  #phase: DrainPhase | undefined;
  #observation: Observation;
  #atStart = { sessions: 0, delivered: 0 };
  #drained: (() => void)[] = [];
  #closed = false;

  /**
   * Takes over what is announced, whoever announced it, and what an operator had said.
   * @throws AnnounceDriverError when not even that can be found out.
   */
  static async start(options: AnnouncementOptions, deps: AnnouncementDeps): Promise<Announcement> {
    return new Announcement(options, deps, await deps.driver.found());
  }

  private constructor(options: AnnouncementOptions, deps: AnnouncementDeps, found: AnnounceState) {
    this.#options = options;
    this.#deps = deps;
    this.#file = new RecordFile(options.stateDirectory, options.node);
    this.#record = this.#file.read();
    this.#said = found;
    this.#announcer = new Announcer(performance.now(), options, found);
    this.#observation = deps.look();
    this.#loop = new DriverLoop(deps.driver, options.deadManMs, (routing) => this.#routed(routing));
    this.#restore();
    this.#loop.want(this.#announcer.decision.state, 'as before the restart');
    this.#follow();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  get status(): AnnouncementStatus {
    const { state, cause, sinceMs, reasons, offers } = this.#announcer.decision;
    return {
      state,
      cause,
      sinceMs: Math.round(performance.now() - sinceMs),
      reasons,
      hold: this.#announcer.hold,
      holdAt: this.#record.holdAt,
      offers,
      othersWell: this.#observation.othersWell,
      changes: this.#announcer.changes,
      routing: this.#loop.routing,
      drain: this.#drainStatus(),
    };
  }

  /** An operator's word, kept across restarts. Resolves when the routing was told. */
  async setHold(hold: Hold): Promise<void> {
    const now = new Date().toISOString();
    this.#keep({ hold, holdAt: hold === 'auto' ? '' : now });
    this.#announcer.setHold(performance.now(), hold, sinceText(this.#record.holdAt));
    await this.#settle();
  }

  /**
   * Begins to leave service.
   * @param forMs Until sessions are asked to end. Default: as configured.
   * @param isKept False for a node that ends afterwards anyway: its successor serves again.
   */
  async drain(forMs = this.#options.drain.deadlineMs, isKept = true): Promise<void> {
    const convergeMs = Math.min(this.#options.drain.convergeMs, forMs);
    this.#observation = this.#deps.look();
    const { sessions } = this.#observation;
    if (this.#announcer.plan === undefined) {
      this.#atStart = { sessions, delivered: this.#deps.delivered() };
    }
    this.#keepsDrain = isKept;
    // First, so that no node picks this one for anything new.
    this.#deps.setDraining(true);
    this.#announcer.drain(performance.now(), { forMs, convergeMs });
    // One that had begun already may be far beyond its first phase.
    this.#announcer.observe(performance.now(), this.#observation);
    this.#keepDrain();
    await this.#settle();
  }

  /** Back into service, wherever a drain was. */
  async resume(): Promise<void> {
    this.#deps.setDraining(false);
    this.#announcer.resume(performance.now());
    this.#keepDrain();
    await this.#settle();
  }

  /** Resolves when the drain under way is over or undone; at once without one. */
  drained(): Promise<void> {
    if (this.#announcer.plan === undefined || this.#phase === 'drained') return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained.push(resolve);
    });
  }

  /** Everything that was asked to end has ended. */
  closed(): void {
    this.#observation = this.#deps.look();
    this.#announcer.closed(performance.now());
    this.#follow();
  }

  /**
   * Ends deciding.
   * @param withdraw Whether the route goes now. Else it ends by itself after the dead-man time, or a
   * successor takes it over.
   */
  async stop(withdraw: boolean): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    if (withdraw) {
      this.#loop.want('down', 'the node ends');
      this.#deps.tell('down', 'down');
    }
    await this.#loop.close();
  }

  #look(): void {
    this.#observation = this.#deps.look();
    this.#announcer.observe(performance.now(), this.#observation);
    this.#follow();
  }

  async #settle(): Promise<void> {
    this.#follow();
    await this.#loop.followed(FOLLOW_MS);
  }

  /** Carries out what was decided. */
  #follow(): void {
    const { state, cause, reasons, offers } = this.#announcer.decision;
    if (state !== this.#said) {
      const facts = { from: this.#said, to: state, cause, reasons };
      this.#deps.log[state === 'down' ? 'warn' : 'info'](facts, 'announcement changed');
      this.#said = state;
      this.#loop.want(state, reasons.join('; '));
    }
    this.#deps.tell(state, offers);
    const phase = this.#announcer.plan?.phase;
    if (phase === this.#phase) return;
    this.#phase = phase;
    const { sessions } = this.#observation;
    this.#deps.log.info({ phase: phase ?? 'resumed', sessions }, 'drain');
    this.#deps.onDrain(phase ?? 'resumed');
    if (phase !== undefined && phase !== 'drained') return;
    this.#keepDrain();
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  #routed({ problem, driver }: Routing): void {
    if (problem === '') this.#deps.log.info({ driver }, 'the routing follows again');
    else this.#deps.log.warn({ driver, problem }, 'the routing does not follow');
  }

  #drainStatus(): DrainStatus | null {
    const { plan } = this.#announcer;
    if (plan === undefined) return null;
    const nowMs = performance.now();
    return {
      phase: plan.phase,
      elapsedMs: Math.round(nowMs - plan.startedMs),
      withdrawInMs: Math.max(0, Math.round(plan.withdrawAtMs - nowMs)),
      deadlineInMs: Math.max(0, Math.round(plan.deadlineMs - nowMs)),
      sessions: this.#observation.sessions,
      sessionsAtStart: this.#atStart.sessions,
      healed: this.#deps.delivered() - this.#atStart.delivered,
    };
  }

  #restore(): void {
    const nowMs = performance.now();
    const { hold, holdAt, drain } = this.#record;
    if (hold !== 'auto') this.#announcer.setHold(nowMs, hold, sinceText(holdAt));
    if (drain === null) return;
    const { sessions } = this.#observation;
    this.#atStart = { sessions, delivered: this.#deps.delivered() };
    this.#keepsDrain = true;
    this.#deps.setDraining(true);
    if (drain.done) this.#announcer.drained(nowMs);
    else this.#announcer.drain(nowMs, drain, nowMs - (uptime() - drain.startedS) * 1_000);
  }

  #keepDrain(): void {
    const { plan } = this.#announcer;
    if (!this.#keepsDrain) return;
    this.#keep({ drain: plan === undefined ? null : keptDrain(plan, performance.now()) });
  }

  #keep(changes: Partial<AnnounceRecord>): void {
    this.#record = { ...this.#record, ...changes };
    try {
      this.#file.write(this.#record);
    } catch (error) {
      const facts = { file: this.#file.path, reason: (error as Error).message };
      this.#deps.log.warn(facts, 'what was said is forgotten when the agent restarts');
    }
  }
}

function keptDrain(
  plan: { order: { forMs: number; convergeMs: number }; startedMs: number; phase: DrainPhase },
  nowMs: number,
): KeptDrain {
  const startedS = Math.max(0, uptime() - (nowMs - plan.startedMs) / 1_000);
  return { ...plan.order, startedS, done: plan.phase === 'drained' };
}

function sinceText(at: string): string {
  return at === '' ? '' : ` since ${at}`;
}
