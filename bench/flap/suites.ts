/** Which scenarios a suite runs, and how long. Pure but for the reading of scenario files. */
import { scenarioNamed, scenarios } from '../lab/scenarios/registry.ts';
import type { Scenario } from '../lab/scenarios/scenario.ts';

export const SUITES = ['quick', 'full', 'maintenance'] as const;
export type SuiteName = (typeof SUITES)[number];

/** What the quick suite takes of a scenario: the same events, in less time. */
const QUICK: readonly { readonly name: string; readonly changes: Partial<Scenario> }[] = [
  { name: 'no-flip', changes: { durationMs: 3_000, tailMs: 0 } },
  { name: 'single-flip', changes: { durationMs: 4_500, tailMs: 1_500 } },
  { name: 'flap-1s', changes: { durationMs: 5_500, tailMs: 1_500 } },
  { name: 'per-packet', changes: { durationMs: 3_000 } },
  { name: 'split-after-syn', changes: { durationMs: 2_500 } },
];

/** Sessions of each kind in the quick suite: half of the full one's. */
const QUICK_CLIENTS: Scenario['clients'] = { download: 2, upload: 2, websocket: 2, sse: 2 };

/** Scenarios in which holdfast announces: drains, upgrades, failures of nodes and origins. */
const isMaintenance = ({ announcing }: Scenario): boolean => announcing !== 'lab';

/**
 * `quick` ends within minutes; `full` and `maintenance` together are every scenario that comes with
 * holdfast, the latter those in which holdfast itself announces.
 */
export function suiteScenarios(suite: SuiteName): Scenario[] {
  if (suite === 'full') return scenarios().filter((each) => !isMaintenance(each));
  if (suite === 'maintenance') return scenarios().filter(isMaintenance);
  return QUICK.map(({ name, changes }) => ({
    ...scenarioNamed(name),
    clients: QUICK_CLIENTS,
    ...changes,
  }));
}

/** Servers under test unless others are named. */
export const SUITE_SERVERS = ['holdfast', 'nginx', 'haproxy', 'caddy'] as const;
