/** Which scenarios a suite runs, and how long. Pure but for the reading of scenario files. */
import { scenarioNamed, scenarios } from '../lab/scenarios/registry.ts';
import type { Scenario } from '../lab/scenarios/scenario.ts';

export const SUITES = ['quick', 'full'] as const;
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

/** `quick` ends within minutes; `full` is every scenario that comes with holdfast. */
export function suiteScenarios(suite: SuiteName): Scenario[] {
  if (suite === 'full') return scenarios();
  return QUICK.map(({ name, changes }) => ({
    ...scenarioNamed(name),
    clients: QUICK_CLIENTS,
    ...changes,
  }));
}

/** Servers under test unless others are named. */
export const SUITE_SERVERS = ['holdfast', 'nginx', 'haproxy', 'caddy'] as const;
