/** Decides what a node announces. A core without IO; see docs/design/announce.md. */
import { Damping, type DampingOptions } from './damping.ts';
import { type DrainOrder, DrainPlan } from './drain-plan.ts';
import { type Signal, Signals, type Trouble } from './signals.ts';
import { type AnnounceState, isWorse, worst } from './state.ts';

/** `off` and `on` are an operator's word; `auto` leaves it to health. */
export const HOLDS = ['off', 'on', 'auto'] as const;
export type Hold = (typeof HOLDS)[number];

export interface AnnouncerOptions extends DampingOptions {
  readonly rise: number;
  readonly fall: number;
  /** Whether the last node that is well enough stays announced when only shared things fail. */
  readonly failOpen: boolean;
  /** Before a withdrawal for a shared reason: others may be finding the same. Default 3,000. */
  readonly settleMs?: number;
}

/** What is known at one moment. */
export interface Observation {
  readonly signals: readonly Signal[];
  /** Other nodes of the mesh that are well enough to announce, by their own health. */
  readonly othersWell: number;
  /** Open sessions of this node. */
  readonly sessions: number;
  /** Whether somebody can ask sessions to end. */
  readonly canClose: boolean;
}

/** Why the announcement is what it is. */
export type Cause = 'start' | 'health' | 'hold' | 'drain' | 'resume';

export interface Decision {
  readonly state: AnnounceState;
  readonly cause: Cause;
  /** For people; empty when all is well. */
  readonly reasons: readonly string[];
  /**
   * What this node would announce were it not for the others: what it tells them. A node that is
   * held off or draining is no help to anybody.
   */
  readonly offers: AnnounceState;
  /** Since when. */
  readonly sinceMs: number;
}

const SETTLE_MS = 3_000;

export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #signals: Signals;
  readonly #damping: Damping;
  #state: AnnounceState;
  #cause: Cause = 'start';
  #reasons: readonly string[];
  #sinceMs: number;
  #offers: AnnounceState = 'down';
  #hold: Hold = 'auto';
  #holdSince = '';
  #plan: DrainPlan | undefined;
  #looked = false;
  /** Health as it is believed, after fail-open, and since when it is at least that good. */
  #health: AnnounceState = 'down';
  #betterSinceMs = Number.POSITIVE_INFINITY;
  #betterThan: AnnounceState = 'down';
  #sharedDownSinceMs: number | undefined;
  /** Why a withdrawal for a shared reason does not happen. */
  #open = '';
  #changes = 0;

  /** @param found What a predecessor announces still; `down` for nothing. */
  constructor(nowMs: number, options: AnnouncerOptions, found: AnnounceState = 'down') {
    this.#options = options;
    this.#signals = new Signals(options.rise, options.fall);
    this.#damping = new Damping(options);
    this.#state = found;
    this.#reasons = [found !== 'down' ? 'as before the restart' : 'starting'];
    this.#sinceMs = nowMs;
  }

  get decision(): Decision {
    return {
      state: this.#state,
      cause: this.#cause,
      reasons: this.#reasons,
      offers: this.#offers,
      sinceMs: this.#sinceMs,
    };
  }

  get hold(): Hold {
    return this.#hold;
  }

  /** The drain under way or done; `undefined` without one. */
  get plan(): DrainPlan | undefined {
    return this.#plan;
  }

  /** What is believed to be wrong, whatever is announced. */
  get troubles(): readonly Trouble[] {
    return this.#signals.troubles;
  }

  /** Changes of the announcement since the start. */
  get changes(): number {
    return this.#changes;
  }

  /** Times that health got worse within ten minutes. */
  get flaps(): number {
    return this.#damping.flaps;
  }

  /** @param since When an operator said so, for people. */
  setHold(nowMs: number, hold: Hold, since = ''): void {
    this.#hold = hold;
    this.#holdSince = since;
    this.#decide(nowMs, 'hold');
  }

  /** Begins to drain; one under way gets the new times, from its own start. */
  drain(nowMs: number, order: DrainOrder, startedMs = this.#plan?.startedMs ?? nowMs): void {
    this.#plan = new DrainPlan(startedMs, order);
    this.#decide(nowMs, 'drain');
  }

  /** As one that an earlier process finished. */
  drained(nowMs: number): void {
    this.#plan = new DrainPlan(nowMs, { forMs: 0, convergeMs: 0 });
    this.#plan.step(nowMs, 0, false);
    this.#decide(nowMs, 'drain');
  }

  /** Undoes a drain, wherever it is. */
  resume(nowMs: number): void {
    if (this.#plan === undefined) return;
    this.#plan = undefined;
    this.#decide(nowMs, 'resume');
  }

  /** Takes a look at everything, about once a second. */
  observe(nowMs: number, observation: Observation): void {
    // While announced, what is new is believed good until shown otherwise; else it has to be shown.
    this.#signals.look(nowMs, observation.signals, this.#state !== 'down');
    this.#looked = true;
    this.#health = this.#judge(nowMs, observation.othersWell);
    const { plan } = this;
    if (plan?.step(nowMs, observation.sessions, observation.canClose)) {
      this.#decide(nowMs, 'drain');
    } else this.#decide(nowMs, 'health');
  }

  /** Everything that could be asked to end has ended. */
  closed(nowMs: number): void {
    this.#plan?.closed();
    this.#decide(nowMs, 'drain');
  }

  /** What health alone would announce. */
  #judge(nowMs: number, othersWell: number): AnnounceState {
    const { troubles } = this.#signals;
    const health = worst(troubles.map(({ effect }) => effect));
    this.#offers = health;
    const own = worst(troubles.filter(({ shared }) => !shared).map(({ effect }) => effect));
    this.#open = '';
    if (health !== 'down' || own === 'down') {
      this.#sharedDownSinceMs = undefined;
      return health;
    }
    this.#sharedDownSinceMs ??= nowMs;
    if (!this.#options.failOpen) return 'down';
    const settled = nowMs - this.#sharedDownSinceMs >= (this.#options.settleMs ?? SETTLE_MS);
    if (othersWell === 0) {
      this.#open = 'not withdrawn, because no other node is known to be well (fail-open)';
    } else if (settled) return 'down';
    else this.#open = 'not withdrawn yet, other nodes may be finding the same';
    return 'degraded';
  }

  #decide(nowMs: number, cause: Cause): void {
    const { phase } = this.#plan ?? {};
    if (this.#plan !== undefined || this.#hold === 'off') this.#offers = 'down';
    const note = (...reasons: string[]) => [...reasons, ...this.#healthReasons()];
    if (this.#hold === 'off') {
      this.#become(nowMs, 'down', cause, [`held off by hand${this.#holdSince}`]);
    } else if (phase === 'converging') {
      this.#become(nowMs, this.#whileConverging(), cause, note('draining'));
    } else if (phase !== undefined) {
      const text = phase === 'drained' ? 'drained' : 'draining, route withdrawn';
      this.#become(nowMs, 'down', cause, note(`${text}; "holdfast resume" undoes it`));
    } else if (this.#hold === 'on') {
      this.#become(nowMs, 'up', cause, note(`held on by hand${this.#holdSince}`));
    } else if (this.#looked) this.#follow(nowMs, cause);
  }

  /** Who has withdrawn already does not come back to say that it goes. */
  #whileConverging(): AnnounceState {
    return this.#state === 'down' ? 'down' : 'draining';
  }

  /** Health decides, damped. */
  #follow(nowMs: number, cause: Cause): void {
    const target = this.#health;
    const reasons = this.#healthReasons();
    // An operator's word is neither delayed nor counted, and neither is what follows from it.
    const byHand = cause === 'resume' || cause === 'hold';
    if (target === this.#state || byHand) {
      this.#betterSinceMs = Number.POSITIVE_INFINITY;
      this.#become(nowMs, target, byHand ? cause : 'health', reasons);
      return;
    }
    if (isWorse(target, this.#state)) {
      this.#betterSinceMs = Number.POSITIVE_INFINITY;
      this.#damping.changed(nowMs, true);
      this.#become(nowMs, target, 'health', reasons);
      return;
    }
    // Each time that it gets less good than it was, the wait begins anew.
    if (this.#betterSinceMs === Number.POSITIVE_INFINITY || isWorse(target, this.#betterThan)) {
      this.#betterSinceMs = nowMs;
    }
    this.#betterThan = target;
    // When nobody announces, waiting would only make it longer.
    const waitMs = this.#open === '' ? this.#damping.improveAfterMs(nowMs) : 0;
    const heldMs = nowMs - this.#betterSinceMs;
    if (heldMs >= waitMs && this.#damping.mayImprove(nowMs)) {
      this.#betterSinceMs = Number.POSITIVE_INFINITY;
      this.#damping.changed(nowMs, false);
      this.#become(nowMs, target, 'health', reasons);
      return;
    }
    const wait =
      heldMs < waitMs
        ? `well for ${seconds(heldMs)} of ${seconds(waitMs)} s, because it was not ${this.#damping.flaps} times in ten minutes`
        : 'well, but announced too often in the last minute';
    this.#become(nowMs, this.#state, this.#cause, [wait, ...reasons]);
  }

  #healthReasons(): string[] {
    const reasons = this.#signals.troubles.map(({ text }) => text);
    return this.#open === '' ? reasons : [...reasons, this.#open];
  }

  #become(nowMs: number, state: AnnounceState, cause: Cause, reasons: readonly string[]): void {
    this.#reasons = reasons;
    if (state === this.#state) return;
    this.#state = state;
    this.#cause = cause;
    this.#sinceMs = nowMs;
    this.#changes += 1;
  }
}

function seconds(ms: number): string {
  return String(Math.round(ms / 1_000));
}
