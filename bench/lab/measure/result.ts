/** What one run of a scenario says, computed from its records. Pure. */
import { SESSION_KINDS, type SessionKind } from '../clients/event.ts';
import type { Family } from '../topology.ts';
import { type Distribution, distribution, flipWindows, gapsTouching, gapsWithin } from './gaps.ts';
import type { SessionRecord } from './ledger.ts';
import type { TcpCounters } from './tcp-counters.ts';

export interface SessionCounts {
  /** Every session that was begun; the sum of the other four. */
  readonly started: number;
  /** Went through every flip and ended as planned, with the right bytes or messages. */
  readonly survived: number;
  /** Ended by a reset, an early close, or any other error of the client. */
  readonly reset: number;
  /** Made no progress within the stall limit. */
  readonly stalled: number;
  /** Bytes or message order differ from what was sent. */
  readonly corrupt: number;
}

/** One move of the route, as the router's kernel saw it. */
export interface FlipRecord {
  /** Counted from the moment when all clients ran. */
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  /** From the command to the kernel's new route. */
  readonly convergenceMs: number;
}

export interface LabResult {
  readonly scenario: string;
  readonly server: string;
  readonly healing: 'on' | 'off';
  readonly family: Family;
  readonly seed: number;
  /** How often the route moved. */
  readonly flips: number;
  readonly sessions: SessionCounts;
  /** Gaps between echoes that touch the window after a flip, milliseconds. */
  readonly gapMs: Distribution;
  /** Gaps between echoes before the first flip, milliseconds. */
  readonly baselineGapMs: Distribution;
  /** TCP segments sent again by the clients and the PoPs, whatever the reason. */
  readonly retransmits: number;
  /** Packets that PoPs carried to the owner of their flow. */
  readonly relayedPackets: number;
  /** Packets by the datapath's verdict, summed over the PoPs. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly kinds: Readonly<Partial<Record<SessionKind, SessionCounts>>>;
  readonly flipMethod: string;
  readonly flipEvents: readonly FlipRecord[];
  readonly pops: number;
  readonly durationMs: number;
  /** Sessions that ended well before the last flip: they prove nothing. Must be 0. */
  readonly early: number;
  /** RST segments sent by each PoP. */
  readonly resetsSent: Readonly<Record<string, number>>;
  readonly retransmitsByNode: Readonly<Record<string, number>>;
  /** One example per kind of what a session that did not survive said. */
  readonly examples: Readonly<Partial<Record<SessionKind, string>>>;
  readonly versions: Readonly<Record<string, string>>;
}

/** Everything that a run has recorded. */
export interface RunRecord {
  readonly scenario: string;
  readonly server: string;
  readonly healing: 'on' | 'off';
  readonly family: Family;
  readonly seed: number;
  readonly flipMethod: string;
  readonly pops: number;
  readonly durationMs: number;
  /** When all clients ran; the zero of {@link FlipRecord.atMs}. */
  readonly beganAtMs: number;
  readonly flips: readonly FlipRecord[];
  /** How long after a flip its effect on gaps is looked for. */
  readonly gapWindowMs: number;
  readonly sessions: readonly SessionRecord[];
  /** Counted during the run, by node; PoPs and clients. */
  readonly tcp: Readonly<Record<string, TcpCounters>>;
  readonly relayedPackets: number;
  readonly verdicts: Readonly<Record<string, number>>;
  readonly versions: Readonly<Record<string, string>>;
}

/** Counts sessions by how they ended; one that has not ended counts as stalled. */
export function countSessions(sessions: readonly SessionRecord[]): SessionCounts {
  const ended = (how: string) =>
    sessions.filter((session) => (session.end?.how ?? 'stalled') === how).length;
  return {
    started: sessions.length,
    survived: ended('complete'),
    reset: ended('reset'),
    stalled: ended('stalled'),
    corrupt: ended('corrupt'),
  };
}

export function computeResult(run: RunRecord): LabResult {
  const flipsAtMs = run.flips.map((flip) => run.beganAtMs + flip.atMs);
  const firstFlipMs = flipsAtMs[0] ?? Number.POSITIVE_INFINITY;
  const lastFlipMs = flipsAtMs.at(-1) ?? 0;
  const windows = flipWindows(flipsAtMs, run.gapWindowMs);
  const streams = run.sessions.map((session) => session.echoAtMs);
  const before = { fromMs: Number.NEGATIVE_INFINITY, toMs: firstFlipMs };
  const present = SESSION_KINDS.filter((kind) => run.sessions.some((s) => s.kind === kind));
  const early = run.sessions.filter(
    ({ end }) => end?.how === 'complete' && end.atMs < lastFlipMs,
  ).length;
  const nodes = Object.entries(run.tcp);
  return {
    scenario: run.scenario,
    server: run.server,
    healing: run.healing,
    family: run.family,
    seed: run.seed,
    flips: run.flips.length,
    sessions: countSessions(run.sessions),
    gapMs: distribution(streams.flatMap((s) => gapsTouching(s, windows))),
    baselineGapMs: distribution(streams.flatMap((s) => gapsWithin(s, before))),
    retransmits: nodes.reduce((sum, [, tcp]) => sum + tcp.retransmits, 0),
    relayedPackets: run.relayedPackets,
    verdicts: run.verdicts,
    kinds: Object.fromEntries(
      present.map((kind) => [kind, countSessions(run.sessions.filter((s) => s.kind === kind))]),
    ),
    flipMethod: run.flipMethod,
    flipEvents: run.flips,
    pops: run.pops,
    durationMs: run.durationMs,
    early,
    resetsSent: Object.fromEntries(
      nodes
        .filter(([node]) => node.startsWith('pop-'))
        .map(([node, tcp]) => [node, tcp.resetsSent]),
    ),
    retransmitsByNode: Object.fromEntries(nodes.map(([node, tcp]) => [node, tcp.retransmits])),
    examples: Object.fromEntries(
      present.flatMap((kind) => {
        const bad = run.sessions.find(
          (s) => s.kind === kind && s.end !== undefined && s.end.how !== 'complete',
        );
        return bad?.end === undefined ? [] : [[kind, `${bad.name}: ${bad.end.detail}`]];
      }),
    ),
    versions: run.versions,
  };
}

/** What is wrong with a result, in words; empty when it is as the scenario expects. */
export function complaints(result: LabResult, survive: 'always' | 'with-healing'): string[] {
  const found: string[] = [];
  const { started, survived, corrupt } = result.sessions;
  const mustSurvive = survive === 'always' || result.healing === 'on';
  if (mustSurvive && survived < started) {
    found.push(`${started - survived} of ${started} sessions did not survive`);
  }
  if (corrupt > 0) found.push(`${corrupt} sessions were corrupted`);
  if (result.early > 0) {
    found.push(`${result.early} sessions ended before the last flip, so they prove nothing`);
  }
  return found;
}
