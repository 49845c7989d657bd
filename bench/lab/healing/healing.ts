/** Healing beside the server under test, as the lab drives it. */
import { LabError } from '../errors.ts';
import type { Lab } from '../lab.ts';
import type { PopPlan } from '../topology.ts';

export type HealingMode = 'on' | 'off';

export interface HealingCounters {
  readonly relayedPackets: number;
  readonly verdicts: Readonly<Record<string, number>>;
}

/** An agent per PoP: started once the server is up, stopped before the lab goes down. */
export interface HealingDriver {
  readonly mode: HealingMode;
  start(lab: Lab, pop: PopPlan): Promise<void>;
  stop(lab: Lab, pop: PopPlan): Promise<void>;
  counters(lab: Lab, pop: PopPlan): Promise<HealingCounters>;
}

const off: HealingDriver = {
  mode: 'off',
  start: async () => {},
  stop: async () => {},
  counters: async () => ({ relayedPackets: 0, verdicts: {} }),
};

/** Every driver there is. Healing itself adds its own here. */
export const healingDrivers: readonly HealingDriver[] = [off];

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
