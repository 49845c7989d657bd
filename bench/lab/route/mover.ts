/** Moves the route and sees to it that the router's kernel has really followed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../clock.ts';
import { LabError } from '../errors.ts';
import type { Lab } from '../lab.ts';
import type { PopPlan } from '../topology.ts';
import type { Announcement } from './announcements.ts';
import { BgpControl, type FlipMethod, type RouteControl } from './control.ts';
import { RouteProbe } from './probe.ts';

const CONVERGENCE_TIMEOUT_MS = 15_000;

export class RouteMover {
  readonly #lab: Lab;
  readonly #control: RouteControl;
  readonly #probe: RouteProbe;
  readonly #signal: AbortSignal | undefined;
  #current: PopPlan;

  constructor(lab: Lab, method: FlipMethod, signal?: AbortSignal) {
    this.#lab = lab;
    this.#control = lab.routeControl(method);
    this.#probe = new RouteProbe(lab.namespace('router'));
    this.#signal = signal;
    this.#current = lab.topology.pops[0]!;
  }

  /** The PoP to which the router was last seen to send the VIP's packets. */
  get current(): PopPlan {
    return this.#current;
  }

  describe(to: PopPlan): string {
    return this.#control.describe(this.#current, to);
  }

  /** Back to the best PoP, whatever an earlier run has left behind. */
  async restore(): Promise<void> {
    const best = this.#lab.topology.pops[0]!;
    await this.#follow(best, this.#lab.restoreRoutes());
  }

  /**
   * @returns Milliseconds from the command to the router's kernel using the new route.
   * @throws LabError `ERR_LAB_DAEMON` with the router's log when it does not within 15 s.
   */
  async moveTo(pop: PopPlan): Promise<number> {
    return await this.#follow(pop, this.#control.pointTo(pop));
  }

  /**
   * A PoP announces otherwise, and the route goes where BGP takes it.
   * @returns Where it went and how long that took; `undefined` when it stays where it is.
   * @throws LabError `ERR_LAB_USAGE` when nobody would announce any more, or the route is not moved
   *   by BGP.
   */
  async announce(
    pop: PopPlan,
    what: Announcement,
  ): Promise<{ to: PopPlan; convergenceMs: number } | undefined> {
    if (!(this.#control instanceof BgpControl)) {
      throw new LabError('announcements need the route to be moved by BGP', 'ERR_LAB_USAGE');
    }
    const startMs = monotonicMs();
    const rank = await this.#control.announce(pop, what);
    if (rank === undefined) {
      throw new LabError(`after ${pop.name} nobody announces any more`, 'ERR_LAB_USAGE');
    }
    const to = this.#lab.topology.pops[rank]!;
    if (to === this.#current) return undefined;
    await this.#follow(to, Promise.resolve());
    return { to, convergenceMs: Math.round((monotonicMs() - startMs) * 1_000) / 1_000 };
  }

  /** Waits until the route has come to this PoP by itself. @returns Milliseconds of waiting. */
  async arriveAt(pop: PopPlan): Promise<number> {
    return await this.#follow(pop, Promise.resolve());
  }

  /** @throws LabError when the route is not where it was last put. */
  async requireStill(): Promise<void> {
    await this.#follow(this.#current, Promise.resolve());
  }

  async #follow(pop: PopPlan, command: Promise<void>): Promise<number> {
    const startMs = monotonicMs();
    // A failed command ends the wait; `commanded` keeps its error from going unhandled meanwhile.
    let failure: unknown;
    const commanded = command.catch((error: unknown) => {
      failure = error ?? new Error('unknown');
    });
    const address = this.#lab.topology.vip[this.#lab.options.family];
    for (;;) {
      this.#signal?.throwIfAborted();
      if (failure !== undefined) throw failure;
      const device = await this.#probe.device(address);
      const tookMs = monotonicMs() - startMs;
      if (device === pop.routerInterface) {
        await commanded;
        if (failure !== undefined) throw failure;
        this.#current = pop;
        return Math.round(tookMs * 1_000) / 1_000;
      }
      if (tookMs > CONVERGENCE_TIMEOUT_MS) {
        throw await this.#lab.routerFailure(
          `the router sends ${address} to ${device ?? 'nobody'}, not to ${pop.name} (waited ${CONVERGENCE_TIMEOUT_MS / 1_000} s)`,
        );
      }
      await sleep(1);
    }
  }

  close(): void {
    this.#probe.close();
  }
}
