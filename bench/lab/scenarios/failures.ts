/** Machines, agents and the backbone fail. */
import type { ClientMix } from '../clients/event.ts';
import { FOUR_EACH } from './flips.ts';
import type { Scenario } from './scenario.ts';

/** Long sessions, and clients that keep trying to connect anew. */
const WITH_CONNECTS: ClientMix = { ...FOUR_EACH, connect: 2 };

export const failures: readonly Scenario[] = [
  {
    name: 'owner-crash',
    about:
      'the PoP that holds all sessions dies; how soon do clients know, how soon are they served?',
    durationMs: 12_000,
    tailMs: 9_000,
    steps: [{ atMs: 3_000, action: { type: 'crash', rank: 0 } }],
    clients: WITH_CONNECTS,
    expected: { on: 'reset', off: 'reset' },
    stallMs: 15_000,
  },
  {
    name: 'owner-crash-relayed',
    about:
      'the route moves, then the PoP dies that still holds the sessions (without healing they are gone by then)',
    durationMs: 14_000,
    tailMs: 9_000,
    steps: [
      { atMs: 2_000, action: { type: 'flip', to: 'next' } },
      { atMs: 5_000, action: { type: 'crash', rank: 0 } },
    ],
    clients: WITH_CONNECTS,
    expected: { on: 'reset', off: 'reset' },
    stallMs: 15_000,
  },
  {
    name: 'home-crash',
    about:
      'a PoP dies that holds no session but may be home of some, and the route moves right after',
    durationMs: 12_000,
    tailMs: 3_500,
    steps: [
      { atMs: 2_500, action: { type: 'crash', rank: 4 } },
      { atMs: 2_700, action: { type: 'flip', to: 'next' } },
      { atMs: 5_500, action: { type: 'flip', to: 'best' } },
      { atMs: 8_000, action: { type: 'flip', to: 'next' } },
    ],
    clients: FOUR_EACH,
    expected: { on: 'survive', off: 'lose' },
    pops: 5,
  },
  {
    name: 'agent-restart',
    about:
      'the healing agents of owner and entry are killed and come back while the route moves (needs healing to mean anything)',
    durationMs: 14_000,
    tailMs: 3_500,
    steps: [
      { atMs: 2_000, action: { type: 'flip', to: 'next' } },
      { atMs: 3_500, action: { type: 'restart-agent', rank: 1 } },
      { atMs: 6_000, action: { type: 'restart-agent', rank: 0 } },
      { atMs: 8_500, action: { type: 'flip', to: 'next' } },
      { atMs: 10_000, action: { type: 'flip', to: 'best' } },
    ],
    clients: FOUR_EACH,
    expected: { on: 'survive', off: 'lose' },
  },
  {
    name: 'mesh-loss-30',
    about:
      '30 % of what the PoPs tell each other is lost while the route flaps (needs healing to mean anything)',
    durationMs: 12_000,
    tailMs: 3_000,
    before: [{ type: 'mesh-loss', percent: 30 }],
    steps: [{ atMs: 2_000, everyMs: 1_000, action: { type: 'flip', to: 'next' } }],
    clients: FOUR_EACH,
    expected: { on: 'survive', off: 'lose' },
  },
  {
    name: 'partition',
    about:
      'one PoP is cut off from the others on the backbone while the route moves between those; then it is back',
    durationMs: 18_000,
    tailMs: 3_000,
    steps: [
      { atMs: 1_500, action: { type: 'cut', rank: 2 } },
      { atMs: 3_000, action: { type: 'flip', to: 'next' } },
      { atMs: 6_000, action: { type: 'flip', to: 'best' } },
      { atMs: 8_000, action: { type: 'mend' } },
      { atMs: 13_000, action: { type: 'flip', to: 'next' } },
      { atMs: 15_000, action: { type: 'flip', to: 'next' } },
    ],
    clients: FOUR_EACH,
    expected: { on: 'survive', off: 'lose' },
  },
];

/** Floods come from addresses that nobody has, bounded in rate and time. */
const flood = (segment: 'syn' | 'ack', about: string): Scenario => ({
  name: `${segment}-flood`,
  about,
  durationMs: 10_000,
  tailMs: 3_500,
  steps: [
    { atMs: 1_000, action: { type: 'flood', segment, packetsPerS: 5_000, forMs: 6_000 } },
    { atMs: 4_000, action: { type: 'flip', to: 'next' } },
  ],
  clients: WITH_CONNECTS,
  // New connections succeed anywhere; those that the flip finds open do not.
  expected: { on: 'survive', off: 'some' },
});

export const floods: readonly Scenario[] = [
  flood('syn', '30,000 SYNs of nobody while clients connect and the route moves'),
  flood('ack', '30,000 ACKs of no connection while clients connect and the route moves'),
];
