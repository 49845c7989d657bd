/** What operators and accidents do to nodes: drains, upgrades, unwell origins, killed processes. */
import type { HealingDriver } from './healing/healing.ts';
import type { Lab } from './lab.ts';
import { setOriginHealth } from './origin/start.ts';
import type { RouteWatch } from './route/watch.ts';
import { rankOf, type ScenarioAction } from './scenarios/scenario.ts';
import type { PopPlan } from './topology.ts';

/** How long a command of an operator may take until the route has left. */
const LEAVE_TIMEOUT_MS = 30_000;

type ActionOf<N extends ScenarioAction['do']> = Extract<ScenarioAction, { do: N }>;
export type MaintenanceAction = ActionOf<
  'upgrade' | 'origin-down' | 'origin-up' | 'kill-agent' | 'await-route'
>;
/** Commands to a node that announces by itself. */
export type AnnounceAction = ActionOf<'withdraw' | 'announce' | 'drain'>;

const COMMANDS: Readonly<Record<AnnounceAction['do'], readonly string[]>> = {
  drain: ['drain'],
  withdraw: ['announce', 'off'],
  announce: ['announce', 'auto'],
};

export class Maintenance {
  readonly #lab: Lab;
  readonly #healing: HealingDriver;
  readonly #signal: AbortSignal | undefined;
  /** Drained by a command, not yet resumed. */
  readonly #drained = new Set<PopPlan>();

  constructor(lab: Lab, healing: HealingDriver, signal?: AbortSignal) {
    this.#lab = lab;
    this.#healing = healing;
    this.#signal = signal;
  }

  /** Puts back what a run before may have left. */
  async clear(): Promise<void> {
    for (const pop of this.#lab.topology.pops) await setOriginHealth(this.#lab, pop, true);
  }

  /** Does it and says what was done. @param watch `undefined` without healing. */
  async perform(action: MaintenanceAction, watch: RouteWatch | undefined): Promise<string> {
    const pops = this.#popsOf(action);
    const [{ name }] = pops as [PopPlan];
    switch (action.do) {
      case 'upgrade':
        return await this.#upgrade(pops[0]!);
      case 'origin-down':
      case 'origin-up': {
        const isWell = action.do === 'origin-up';
        await Promise.all(pops.map((pop) => setOriginHealth(this.#lab, pop, isWell)));
        const whom = action.pop === undefined ? 'all' : name;
        return `the origin is ${isWell ? 'well again' : 'not well'} for ${whom}`;
      }
      case 'kill-agent':
        await this.#healing.kill(this.#lab, pops[0]!);
        return this.#healing.mode === 'on'
          ? `the agent of ${name} is killed`
          : `there is no agent on ${name} to kill`;
      case 'await-route': {
        if (watch === undefined) return `without holdfast the route need not come to ${name}`;
        const { withinMs } = action;
        await watch.until(`come to ${name}`, withinMs, (at) => at === pops[0], this.#signal);
        return `the route is at ${name}`;
      }
    }
  }

  /** A command to a PoP's node; resolves when the route has left it, if it has to. */
  async command(action: AnnounceAction, watch: RouteWatch): Promise<string> {
    const [pop] = this.#popsOf(action) as [PopPlan];
    const isResumed = action.do === 'announce' && this.#drained.delete(pop);
    const words = isResumed ? ['resume'] : COMMANDS[action.do];
    if (action.do === 'drain') this.#drained.add(pop);
    await this.#healing.operate?.(this.#lab, pop, words);
    if (action.do !== 'announce') {
      await watch.until(`leave ${pop.name}`, LEAVE_TIMEOUT_MS, (at) => at !== pop, this.#signal);
    }
    return `holdfast ${words.join(' ')} on ${pop.name}`;
  }

  #popsOf(action: MaintenanceAction | AnnounceAction): readonly PopPlan[] {
    const { pops } = this.#lab.topology;
    return action.pop === undefined ? pops : [pops[rankOf(action.pop)]!];
  }

  async #upgrade(pop: PopPlan): Promise<string> {
    const { server, agent = 'beside' } = this.#lab.options;
    const canUpgrade = server.name === 'holdfast' && agent === 'within';
    if (!canUpgrade || this.#healing.operate === undefined) {
      return `there is no holdfast node on ${pop.name} to upgrade`;
    }
    await this.#healing.operate(this.#lab, pop, ['upgrade', '--json']);
    return `holdfast upgrade on ${pop.name}`;
  }
}
