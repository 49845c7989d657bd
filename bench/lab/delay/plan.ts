/** Who makes links long, and how they are told. Pure. */
import type { LinkPlan } from '../topology.ts';
import { namespaceName } from '../wiring.ts';

/** One link, for the relay that replaces it by two TAP devices. */
export interface RelayedLink {
  readonly ends: readonly [RelayedEnd, RelayedEnd];
  readonly delayMs: number;
  readonly lossPercent: number;
}

export interface RelayedEnd {
  readonly namespace: string;
  readonly interface: string;
}

export interface RelayPlan {
  readonly seed: number;
  readonly links: readonly RelayedLink[];
}

export function relayPlan(links: readonly LinkPlan[], labId: string, seed: number): RelayPlan {
  return {
    seed,
    links: links.map(({ ends: [a, b], impairment }) => ({
      ends: [
        { namespace: namespaceName(labId, a.node), interface: a.interface },
        { namespace: namespaceName(labId, b.node), interface: b.interface },
      ],
      delayMs: impairment?.delayMs ?? 0,
      lossPercent: impairment?.lossPercent ?? 0,
    })),
  };
}

/** Frames that netem may hold per link end: 100 ms of 1 Gbit/s are 8,000. */
const NETEM_FRAMES = 20_000;

/** Arguments of `tc`, one command per link end: both directions are delayed where they are sent. */
export function netemCommands(links: readonly LinkPlan[], labId: string): string[][] {
  return links.flatMap(({ ends, impairment }) =>
    ends.map((end) => [
      'tc',
      '-n',
      namespaceName(labId, end.node),
      ...['qdisc', 'replace', 'dev', end.interface, 'root', 'netem', 'limit', `${NETEM_FRAMES}`],
      ...['delay', `${impairment?.delayMs ?? 0}ms`, 'loss', `${impairment?.lossPercent ?? 0}%`],
    ]),
  );
}
