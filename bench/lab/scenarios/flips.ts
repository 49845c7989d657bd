/** The route moves: once, or again and again. */
import type { ClientMix } from '../clients/event.ts';
import type { Scenario } from './scenario.ts';

/** Four of each kind of long session. */
export const FOUR_EACH: ClientMix = { download: 4, upload: 4, websocket: 4, sse: 4 };

const HEALED = { on: 'survive', off: 'lose' } as const;

export const flips: readonly Scenario[] = [
  {
    name: 'single-flip',
    about: 'the route moves once from the best PoP to the next, in the middle of every session',
    durationMs: 8_000,
    tailMs: 3_500,
    steps: [{ atMs: 3_000, action: { type: 'flip', to: 'next' } }],
    clients: FOUR_EACH,
    expected: HEALED,
  },
  {
    name: 'no-flip',
    about: 'the route stays where it is: the control run',
    durationMs: 8_000,
    tailMs: 3_500,
    steps: [],
    clients: FOUR_EACH,
    expected: { on: 'survive', off: 'survive' },
  },
  {
    name: 'flap-10s',
    about: 'the route goes on to the next PoP every 10 s',
    durationMs: 35_000,
    tailMs: 4_000,
    steps: [{ atMs: 5_000, everyMs: 10_000, action: { type: 'flip', to: 'next' } }],
    clients: FOUR_EACH,
    expected: HEALED,
  },
  {
    name: 'flap-1s',
    about: 'the route goes on to the next PoP every second',
    durationMs: 12_000,
    tailMs: 3_000,
    steps: [{ atMs: 2_000, everyMs: 1_000, action: { type: 'flip', to: 'next' } }],
    clients: FOUR_EACH,
    expected: HEALED,
  },
  {
    name: 'flap-100ms',
    about: 'the route goes on to the next PoP ten times a second',
    durationMs: 9_000,
    tailMs: 3_000,
    steps: [{ atMs: 2_000, everyMs: 100, action: { type: 'flip', to: 'next' } }],
    clients: FOUR_EACH,
    expected: HEALED,
    flip: 'route',
  },
  {
    name: 'port-reuse',
    about: 'clients use one source port for connection after connection while the route flaps',
    durationMs: 12_000,
    tailMs: 3_000,
    steps: [{ atMs: 1_500, everyMs: 700, action: { type: 'flip', to: 'next' } }],
    clients: { reuse: 12 },
    // A short connection may fall between two flips, and a new one at the other PoP is no trouble.
    expected: { on: 'survive', off: 'some' },
    flip: 'route',
  },
  {
    name: 'idle-10k',
    about: '10,000 silent WebSockets through one flip; each is then asked for a message',
    durationMs: 15_000,
    tailMs: 10_000,
    steps: [{ atMs: 3_000, action: { type: 'flip', to: 'next' } }],
    clients: { idle: 10_000 },
    expected: HEALED,
    workers: 2,
  },
];
