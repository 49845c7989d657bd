import type { ClientMix } from '../clients/event.ts';
import { LabError } from '../errors.ts';
import type { Scenario } from './scenario.ts';

/** Four of each kind. */
const FOUR_EACH: ClientMix = { download: 4, upload: 4, websocket: 4, sse: 4 };

/** Every scenario that the lab knows. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'single-flip',
    about: 'the route moves once from the best PoP to the next, in the middle of every session',
    durationMs: 8_000,
    tailMs: 3_500,
    steps: [{ atMs: 3_000, action: { type: 'flip', to: 'next' } }],
    clients: FOUR_EACH,
    survive: 'with-healing',
  },
  {
    name: 'no-flip',
    about: 'the route stays where it is: the control run',
    durationMs: 8_000,
    tailMs: 3_500,
    steps: [],
    clients: FOUR_EACH,
    survive: 'always',
  },
];

/** @throws LabError `ERR_LAB_USAGE` for an unknown name. */
export function scenarioNamed(name: string): Scenario {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found !== undefined) return found;
  const known = scenarios.map((scenario) => scenario.name).join(', ');
  throw new LabError(`no scenario "${name}"; there are: ${known}`, 'ERR_LAB_USAGE');
}
