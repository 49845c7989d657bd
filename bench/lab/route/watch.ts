/** Sees where the router's kernel sends the VIP's packets while others move the route. */
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../clock.ts';
import type { Lab } from '../lab.ts';
import { type FlipRecord, NOBODY } from '../measure/record.ts';
import type { PopPlan } from '../topology.ts';
import { RouteProbe } from './probe.ts';

const LOOK_MS = 10;
/** Of a run; a route that moves more often shows in the counts of announcements. */
const MOVES_MAX = 10_000;

export class RouteWatch {
  /** Every move, in order. `convergenceMs` counts from the command before it. */
  readonly moves: FlipRecord[] = [];
  readonly #lab: Lab;
  readonly #probe: RouteProbe;
  readonly #onMove: (move: FlipRecord) => void;
  #current: PopPlan | undefined;
  #sinceMs = 0;
  #commandedAtMs = 0;
  #ended = false;
  #watching: Promise<void> = Promise.resolve();
  #failure: unknown;

  /** @param onMove Told of every move while it happens. */
  constructor(lab: Lab, onMove: (move: FlipRecord) => void) {
    this.#lab = lab;
    this.#onMove = onMove;
    this.#probe = new RouteProbe(lab.namespace('router'));
  }

  /** `undefined` while the router has no route. */
  get current(): PopPlan | undefined {
    return this.#current;
  }

  /** From now on moves are kept. @param nowMs Reads the time that they are told in. */
  begin(nowMs: () => number): void {
    this.#watching = this.#watch(nowMs).catch((error: unknown) => {
      this.#failure = error;
    });
  }

  /** A command that may move the route is given now, `atMs` in the time of the moves. */
  commanded(atMs: number): void {
    this.#commandedAtMs = atMs;
  }

  /**
   * Waits until the route satisfies `wanted` and has stayed there for a moment.
   * @throws LabError `ERR_LAB_ROUTE` with the router's log when it does not in time.
   */
  async until(
    what: string,
    withinMs: number,
    wanted: (current: PopPlan | undefined) => boolean,
    signal?: AbortSignal,
  ): Promise<void> {
    const deadline = monotonicMs() + withinMs;
    for (;;) {
      signal?.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure;
      await this.#look();
      if (wanted(this.#current)) return;
      if (monotonicMs() > deadline) {
        const where = this.#current?.name ?? NOBODY;
        throw await this.#lab.routerFailure(
          `the route should ${what} within ${withinMs / 1_000} s; it is at ${where}`,
        );
      }
      await sleep(LOOK_MS);
    }
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#watching;
    this.#probe.close();
  }

  async #look(): Promise<void> {
    const address = this.#lab.topology.vip[this.#lab.options.family];
    const device = await this.#probe.device(address);
    const { pops } = this.#lab.topology;
    this.#current = pops.find((pop) => pop.routerInterface === device);
  }

  async #watch(nowMs: () => number): Promise<void> {
    await this.#look();
    let before = this.#current;
    while (!this.#ended) {
      await this.#look();
      if (this.#current !== before && this.moves.length < MOVES_MAX) {
        const seenMs = nowMs();
        const [from, to] = [before, this.#current].map((pop) => pop?.name ?? NOBODY);
        // A move counts from the command that caused it, as far as one did.
        const atMs = Math.max(this.#commandedAtMs, this.#sinceMs);
        const move = { from: from!, to: to!, atMs, convergenceMs: seenMs - atMs };
        this.moves.push(rounded(move));
        this.#onMove(rounded(move));
        this.#sinceMs = seenMs;
        before = this.#current;
      }
      await sleep(LOOK_MS);
    }
  }
}

const round = (ms: number) => Math.round(ms * 1_000) / 1_000;

const rounded = (move: FlipRecord): FlipRecord => ({
  ...move,
  atMs: round(move.atMs),
  convergenceMs: round(move.convergenceMs),
});
