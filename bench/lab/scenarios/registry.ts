import { LabError } from '../errors.ts';
import { failures, floods } from './failures.ts';
import { flips } from './flips.ts';
import type { Scenario } from './scenario.ts';
import { splits } from './splits.ts';

/** Every scenario that the lab knows. */
export const scenarios: readonly Scenario[] = [...flips, ...splits, ...failures, ...floods];

/** @throws LabError `ERR_LAB_USAGE` for an unknown name. */
export function scenarioNamed(name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found !== undefined) return found;
  const known = scenarios.map((scenario) => scenario.name).join(', ');
  throw new LabError(`no scenario "${name}"; there are: ${known}`, 'ERR_LAB_USAGE');
}
