/** How a scenario moves the route. */

import { DRAINED_PROTOCOL, VIP_PROTOCOL } from '../bird/config.ts';
import type { Bird } from '../bird/daemon.ts';
import { runCommand, tryCommand } from '../command.ts';
import type { PopPlan, Topology } from '../topology.ts';
import { type Announcement, announcementsFor, preferredRank } from './announcements.ts';

export type FlipMethod = 'bgp' | 'route';

/** Moves the VIP's traffic from one PoP to another. */
export interface RouteControl {
  readonly method: FlipMethod;
  /** For the log: what is done to point the route at this PoP. */
  describe(from: PopPlan, to: PopPlan): string;
  /** Starts the move. It has happened when the router's kernel says so, not when this resolves. */
  pointTo(pop: PopPlan): Promise<void>;
  /** Back to the preference of the topology. */
  restore(): Promise<void>;
}

/** The way it happens outside: PoPs stop announcing, or announce again. */
export class BgpControl implements RouteControl {
  readonly method = 'bgp';
  readonly #birds: readonly Bird[];
  #announced: Announcement[];

  /** @param birds In order of preference. */
  constructor(birds: readonly Bird[]) {
    this.#birds = birds;
    this.#announced = birds.map(() => 'full');
  }

  describe(from: PopPlan, to: PopPlan): string {
    return to.rank > from.rank ? `${from.name} stops announcing` : `${to.name} announces again`;
  }

  async pointTo(pop: PopPlan): Promise<void> {
    const wanted = announcementsFor(pop.rank, this.#birds.length);
    await Promise.all(wanted.map((what, rank) => this.#announce(rank, what)));
  }

  /**
   * One PoP announces otherwise from now on.
   * @returns Rank of the PoP that the router will prefer; `undefined` when nobody announces.
   */
  async announce(pop: PopPlan, what: Announcement): Promise<number | undefined> {
    await this.#announce(pop.rank, what);
    return preferredRank(this.#announced);
  }

  async restore(): Promise<void> {
    // Whatever an earlier run or another object has done: BIRD is told all of it again.
    this.#announced = this.#birds.map(() => 'full');
    await Promise.all(this.#birds.map((bird) => tell(bird, 'full')));
  }

  /** No PoP announces, whatever was before. */
  async silence(): Promise<void> {
    this.#announced = this.#birds.map(() => 'none');
    await Promise.all(this.#birds.map((bird) => tell(bird, 'none')));
  }

  async #announce(rank: number, what: Announcement): Promise<void> {
    if (this.#announced[rank] === what) return;
    this.#announced[rank] = what;
    await tell(this.#birds[rank]!, what);
  }
}

/** What is to be announced is switched on before the other is switched off: there is no gap. */
async function tell(bird: Bird, what: Announcement): Promise<void> {
  const states = [
    { protocols: Object.values(VIP_PROTOCOL), on: what === 'full' },
    { protocols: Object.values(DRAINED_PROTOCOL), on: what === 'worse' },
  ].sort((a, b) => Number(b.on) - Number(a.on));
  for (const { protocols, on } of states) await bird.switchProtocols(protocols, on);
}

/** Lower than the metric of BIRD's routes (32), so that these routes win over them. */
const OVERRIDE_METRIC = 5;

/** An instant change at the router, without BGP: a route of better metric over BIRD's. */
export class KernelRouteControl implements RouteControl {
  readonly method = 'route';
  readonly #topology: Topology;
  readonly #namespace: string;

  constructor(topology: Topology, routerNamespace: string) {
    this.#topology = topology;
    this.#namespace = routerNamespace;
  }

  describe(_from: PopPlan, to: PopPlan): string {
    return `the router's route is replaced: via ${to.name}`;
  }

  async pointTo(pop: PopPlan): Promise<void> {
    const { vipPrefix } = this.#topology;
    await this.#batch(
      ([4, 6] as const).map(
        (f) =>
          `route replace ${vipPrefix[f]} via ${pop.uplinkAddress[f]} metric ${OVERRIDE_METRIC}`,
      ),
    );
  }

  async restore(): Promise<void> {
    const { vipPrefix } = this.#topology;
    const lines = ([4, 6] as const).map(
      (f) => `route del ${vipPrefix[f]} metric ${OVERRIDE_METRIC}`,
    );
    // Nothing to delete is no error: the route may never have been moved.
    const input = lines.map((line) => `${line}\n`).join('');
    await tryCommand(['ip', '-n', this.#namespace, '-force', '-batch', '-'], { input });
  }

  async #batch(lines: readonly string[]): Promise<void> {
    const input = lines.map((line) => `${line}\n`).join('');
    await runCommand(['ip', '-n', this.#namespace, '-batch', '-'], { input });
  }
}
