/** The packets of one flow take different ways, or an error about them does. */
import { FOUR_EACH } from './flips.ts';
import type { Scenario, ScenarioAction } from './scenario.ts';

/** Connections are made and used under the split. */
const split = (name: string, about: string, action: ScenarioAction): Scenario => ({
  name,
  about,
  durationMs: 6_000,
  tailMs: 0,
  before: [action],
  steps: [],
  clients: FOUR_EACH,
  expected: { on: 'survive', off: 'lose' },
});

export const splits: readonly Scenario[] = [
  split('per-packet', 'every packet goes to a PoP by chance, from the SYN on', {
    type: 'split',
    by: 'packet',
  }),
  split('split-after-syn', 'SYNs go to the best PoP, all that follows to the next one', {
    type: 'split',
    by: 'syn',
  }),
  split('ecmp-ttl', 'the router picks the PoP by the TTL, which differs between SYN and data', {
    type: 'split',
    by: 'ttl',
  }),
  split('ecmp-ecn', 'the router picks the PoP by the ECN bits: only data has them set', {
    type: 'split',
    by: 'ecn',
  }),
  {
    name: 'pmtu',
    about: 'the route moves, then the path’s MTU drops: the ICMP errors reach the wrong PoP',
    durationMs: 9_000,
    tailMs: 3_500,
    steps: [
      { atMs: 2_000, action: { type: 'flip', to: 'next' } },
      { atMs: 4_000, action: { type: 'mtu', bytes: 1_300 } },
    ],
    clients: FOUR_EACH,
    expected: { on: 'survive', off: 'lose' },
    stallMs: 5_000,
  },
  {
    name: 'pmtu-ecmp',
    about: 'the MTU drops; TCP reaches its PoP, the ICMP errors about it another one',
    durationMs: 7_000,
    tailMs: 3_500,
    before: [{ type: 'split', by: 'errors' }],
    steps: [{ atMs: 2_500, action: { type: 'mtu', bytes: 1_300 } }],
    clients: FOUR_EACH,
    // Only those to whom the server sends full packets are hit, and they hang rather than break.
    expected: { on: 'survive', off: 'some' },
    stallMs: 3_000,
  },
];
