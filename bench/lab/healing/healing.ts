/** Healing beside the server under test, as the lab drives it. */
import { LabError } from '../errors.ts';
import type { Lab } from '../lab.ts';
import type { HealingCost } from '../measure/record.ts';
import type { PopPlan } from '../topology.ts';
import { agentDriver } from './agent-driver.ts';

export type HealingMode = 'on' | 'off';

export interface HealingCounters {
  readonly relayedPackets: number;
  readonly verdicts: Readonly<Record<string, number>>;
}

/**
 * An agent per PoP: started once the server is up, stopped before the lab goes down. All calls get
 * the lab, which says where things are: `lab.namespace(pop.name)`, `lab.directory(pop.name)`,
 * `pop.uplink`, `pop.underlayAddress`, `lab.topology.vip`, `lab.port`.
 */
export interface HealingDriver {
  readonly mode: HealingMode;
  /** Programs that must be installed. */
  readonly programs?: readonly string[];
  /**
   * Called for all PoPs at once, before any client starts; resolves when this PoP's agent heals
   * and sees the others. Also called after {@link kill} and after the PoP was down.
   */
  start(lab: Lab, pop: PopPlan): Promise<void>;
  /** Ends the agent in order and takes its datapath away. The PoP or the agent may be dead. */
  stop(lab: Lab, pop: PopPlan): Promise<void>;
  /** Kills the agent without warning; its datapath stays. */
  kill(lab: Lab, pop: PopPlan): Promise<void>;
  /** Counted since {@link start}. Of a dead PoP: zeros. */
  counters(lab: Lab, pop: PopPlan): Promise<HealingCounters>;
  /**
   * An operator's command to the node of a PoP, such as `drain`. Absent without a node.
   * @returns what it printed. @throws LabError `ERR_LAB_COMMAND` when it was refused.
   */
  operate?(lab: Lab, pop: PopPlan, words: readonly string[]): Promise<string>;
  /** Spent since the agent began; `undefined` when none runs. Absent where there is nothing to spend. */
  cost?(lab: Lab, pop: PopPlan): HealingCost | undefined;
}

const off: HealingDriver = {
  mode: 'off',
  // A run before may have put a node with an agent into its place.
  start: (lab, pop) => lab.startServer(pop),
  stop: async () => {},
  kill: async () => {},
  counters: async () => ({ relayedPackets: 0, verdicts: {} }),
};

/** Every driver there is. Healing itself adds its own here. */
export const healingDrivers: readonly HealingDriver[] = [off, agentDriver];

/** @throws LabError `ERR_LAB_HEALING_MISSING` while this version has no such driver. */
export function healingNamed(mode: HealingMode): HealingDriver {
  const found = healingDrivers.find((driver) => driver.mode === mode);
  if (found !== undefined) return found;
  throw new LabError(
    'this version of holdfast cannot heal sessions yet: run with --healing off to see what the route change does to them',
    'ERR_LAB_HEALING_MISSING',
  );
}

/** Adds up what the PoPs counted. */
export function sumCounters(counters: readonly HealingCounters[]): HealingCounters {
  const verdicts: Record<string, number> = {};
  for (const counter of counters) {
    for (const [name, value] of Object.entries(counter.verdicts)) {
      verdicts[name] = (verdicts[name] ?? 0) + value;
    }
  }
  return { relayedPackets: counters.reduce((sum, c) => sum + c.relayedPackets, 0), verdicts };
}

/** What was counted between two readings of the same PoP. */
export function countersBetween(before: HealingCounters, after: HealingCounters): HealingCounters {
  const more = (then: number, now: number) => Math.max(0, now - then);
  return {
    relayedPackets: more(before.relayedPackets, after.relayedPackets),
    verdicts: Object.fromEntries(
      Object.entries(after.verdicts).map(([name, count]) => [
        name,
        more(before.verdicts[name] ?? 0, count),
      ]),
    ),
  };
}
