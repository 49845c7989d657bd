/** What one run of a scenario says, computed from its records. Pure. */
import { SESSION_KINDS, type SessionKind } from '../clients/event.ts';
import { type Expectation, outlivesConnections } from '../scenarios/scenario.ts';
import type { Family } from '../topology.ts';
import { Activity, type Throughput } from './activity.ts';
import type { AnnouncementCount } from './announcements.ts';
import { type DeathReport, deathReport } from './death.ts';
import { addedRttMs } from './detour.ts';
import { type Distribution, distribution, flipWindows, gapsTouching, gapsWithin } from './gaps.ts';
import { type Histogram, histogramOf } from './histogram.ts';
import type { SessionRecord } from './ledger.ts';
import {
  type FlipRecord,
  type FloodRecord,
  type HealingCost,
  NOBODY,
  type RunRecord,
  type StepRecord,
} from './record.ts';

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

export interface FloodReport extends FloodRecord {
  /** Packets between PoPs for each packet of the flood, until the first flip. */
  readonly relayedPerPacket: number;
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
  /** Gaps between echoes that touch the window after anything happened, milliseconds. */
  readonly gapMs: Distribution;
  /** Gaps between echoes before anything happened, milliseconds. */
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
  /** All else that was done. */
  readonly steps: readonly StepRecord[];
  readonly pops: number;
  readonly durationMs: number;
  /** Added by long links, each way. */
  readonly delayMs: number;
  readonly backboneDelayMs: number;
  /** Sessions that ended well before the last flip: they prove nothing. Must be 0. */
  readonly early: number;
  /** RST segments sent by each PoP. */
  readonly resetsSent: Readonly<Record<string, number>>;
  readonly retransmitsByNode: Readonly<Record<string, number>>;
  /** More than the control run of the same sessions needed; `null` without one. */
  readonly retransmitsCaused: number | null;
  /** Gaps of the control run; `null` without one. */
  readonly controlGapMs: Distribution | null;
  readonly relayedByNode: Readonly<Record<string, number>>;
  readonly verdictsByNode: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Time that each new connection of the `connect` sessions took, its one message included. */
  readonly connectMs: Distribution;
  /** The distributions of which the three above are summaries. */
  readonly histograms: {
    readonly gapMs: Histogram;
    readonly baselineGapMs: Histogram;
    readonly connectMs: Histogram;
  };
  readonly throughput: Throughput;
  /** Round trips of echoes while the route led elsewhere, beyond those before; `null` if there were none. */
  readonly addedRttMs: number | null;
  /** `null` without healing. */
  readonly healingCost: HealingCost | null;
  readonly deaths: readonly DeathReport[];
  /** What each PoP told the router; empty where holdfast could not announce. */
  readonly announcements: readonly AnnouncementCount[];
  /** Connections of the kinds that make one after the other. */
  readonly connections: { readonly tried: number; readonly failed: number };
  /** Of the `reconnect` sessions: connections that were lost and replaced. */
  readonly reconnects: { readonly served: number; readonly resumed: number };
  readonly flood: FloodReport | null;
  /** One example per kind of what a session that did not survive said. */
  readonly examples: Readonly<Partial<Record<SessionKind, string>>>;
  readonly versions: Readonly<Record<string, string>>;
}

const LATE_MS = 500;
const isLate = ({ convergenceMs }: FlipRecord): boolean => convergenceMs > LATE_MS;

/** Kinds whose `done` and `total` are connections. */
const CONNECTING: readonly SessionKind[] = ['connect', 'visit'];

function connectionsOf(sessions: readonly SessionRecord[]): LabResult['connections'] {
  const mine = sessions.filter(({ kind }) => CONNECTING.includes(kind));
  const tried = mine.reduce((sum, session) => sum + session.total, 0);
  return { tried, failed: tried - mine.reduce((sum, session) => sum + session.done, 0) };
}

/** Kinds whose echoes come in a steady beat, so that a gap between two of them means something. */
const BEATS: readonly SessionKind[] = ['websocket', 'keepalive', 'psql', 'ssh'];

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

const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

function sumByName(
  byNode: Readonly<Record<string, Readonly<Record<string, number>>>>,
): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const counts of Object.values(byNode)) {
    for (const [name, count] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}

export function computeResult(run: RunRecord): LabResult {
  const { steps = [], crashes = [], flood } = run;
  const flipsAtMs = run.flips.map((flip) => run.beganAtMs + flip.atMs);
  const lastFlipMs = flipsAtMs.at(-1) ?? 0;
  // A split of TCP is no moment: it goes on all the time.
  const always = steps.some((step) => step.type === 'split' && step.atMs === 0);
  const disturbedAtMs = steps
    .filter((step) => step.atMs > 0)
    .map((step) => run.beganAtMs + step.atMs)
    .concat(flipsAtMs)
    // What a command caused much later is felt then.
    .concat(run.flips.filter(isLate).map((f) => run.beganAtMs + f.atMs + f.convergenceMs))
    .sort((a, b) => a - b);
  const firstMs = always
    ? Number.NEGATIVE_INFINITY
    : (disturbedAtMs[0] ?? Number.POSITIVE_INFINITY);
  const windows = always
    ? [{ fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY }]
    : flipWindows(disturbedAtMs, run.gapWindowMs);
  const beating = run.sessions.filter((s) => BEATS.includes(s.kind));
  const beats = beating.map((s) => s.echoAtMs);
  const before = { fromMs: Number.NEGATIVE_INFINITY, toMs: firstMs };
  const present = SESSION_KINDS.filter((kind) => run.sessions.some((s) => s.kind === kind));
  const early = run.sessions.filter(
    ({ end }) => end?.how === 'complete' && end.atMs < lastFlipMs,
  ).length;
  const nodes = Object.entries(run.tcp);
  const retransmits = nodes.reduce((sum, [, tcp]) => sum + tcp.retransmits, 0);
  const gaps = beats.flatMap((s) => gapsTouching(s, windows));
  const baselineGaps = beats.flatMap((s) => gapsWithin(s, before));
  const connectTimes = run.sessions
    .filter((session) => session.kind === 'connect')
    .flatMap((session) => session.rttMs);
  return {
    scenario: run.scenario,
    server: run.server,
    healing: run.healing,
    family: run.family,
    seed: run.seed,
    flips: run.flips.length,
    sessions: countSessions(run.sessions),
    gapMs: distribution(gaps),
    baselineGapMs: distribution(baselineGaps),
    retransmits,
    relayedPackets: total(run.relayed),
    verdicts: sumByName(run.verdicts),
    kinds: Object.fromEntries(
      present.map((kind) => [kind, countSessions(run.sessions.filter((s) => s.kind === kind))]),
    ),
    flipMethod: run.flipMethod,
    flipEvents: run.flips,
    steps,
    pops: run.pops,
    durationMs: run.durationMs,
    delayMs: run.delayMs ?? 0,
    backboneDelayMs: run.backboneDelayMs ?? 0,
    early,
    resetsSent: Object.fromEntries(
      nodes
        .filter(([node]) => node.startsWith('pop-'))
        .map(([node, tcp]) => [node, tcp.resetsSent]),
    ),
    retransmitsByNode: Object.fromEntries(nodes.map(([node, tcp]) => [node, tcp.retransmits])),
    retransmitsCaused:
      run.control === undefined ? null : Math.max(0, retransmits - run.control.retransmits),
    controlGapMs: run.control?.gapMs ?? null,
    relayedByNode: run.relayed,
    verdictsByNode: run.verdicts,
    connectMs: distribution(connectTimes),
    histograms: {
      gapMs: histogramOf(gaps),
      baselineGapMs: histogramOf(baselineGaps),
      connectMs: histogramOf(connectTimes),
    },
    throughput: (run.activity ?? new Activity()).throughput(run.beganAtMs, run.durationMs),
    addedRttMs: always ? null : addedRttMs(beating, run.flips, run.beganAtMs),
    healingCost: run.healingCost ?? null,
    deaths: crashes.map(({ pop, atMs }) => ({
      pop,
      atMs,
      ...deathReport(run.sessions, run.beganAtMs + atMs),
    })),
    announcements: run.announcements ?? [],
    connections: connectionsOf(run.sessions),
    reconnects: {
      served: run.sessions.reduce((sum, { reconnects }) => sum + reconnects.length, 0),
      resumed: run.sessions.reduce(
        (sum, { reconnects }) => sum + reconnects.filter(({ resumed }) => resumed).length,
        0,
      ),
    },
    flood:
      flood === undefined
        ? null
        : {
            ...flood,
            relayedPerPacket:
              Math.round((flood.counted.relayed / Math.max(1, flood.counted.sent)) * 1_000) / 1_000,
          },
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
export function complaints(
  result: LabResult,
  expected: { readonly on: Expectation; readonly off: Expectation },
  announcementsPerMinuteMax = Number.POSITIVE_INFINITY,
): string[] {
  const found: string[] = [];
  const { started, survived, corrupt } = result.sessions;
  const long = longSessions(result);
  const want = expected[result.healing];
  if (want === 'survive' && survived < started) {
    found.push(`${started - survived} of ${started} sessions did not survive`);
  }
  if (want === 'endure' && long.survived < long.started) {
    found.push(`${long.started - long.survived} of ${long.started} sessions did not survive`);
  }
  const lost = result.flipEvents.find(({ to }) => to === NOBODY);
  if (lost !== undefined) found.push(`at ${lost.atMs} ms nobody announced the VIP any more`);
  for (const { pop, mostPerMinute } of result.healing === 'on' ? result.announcements : []) {
    if (mostPerMinute <= announcementsPerMinuteMax) continue;
    found.push(
      `${pop} announced ${mostPerMinute} changes in a minute, more than ${announcementsPerMinuteMax}`,
    );
  }
  // A scenario that breaks nothing would prove nothing by what healing makes of it.
  if ((want === 'lose' || want === 'reset') && long.survived > 0) {
    found.push(`${long.survived} of ${long.started} sessions survived what none should survive`);
  }
  if (want === 'reset' && long.stalled > 0) {
    found.push(`${long.stalled} of ${long.started} sessions hung instead of being reset`);
  }
  if (want === 'some' && long.survived === long.started) {
    found.push('no session was lost, so the scenario proves nothing');
  }
  if (corrupt > 0) found.push(`${corrupt} sessions were corrupted`);
  if (result.early > 0) {
    found.push(`${result.early} sessions ended before the last flip, so they prove nothing`);
  }
  return found;
}

/** The sessions that live and die with their connection. */
export function longSessions(result: Pick<LabResult, 'kinds'>): SessionCounts {
  const sum = { started: 0, survived: 0, reset: 0, stalled: 0, corrupt: 0 };
  for (const kind of SESSION_KINDS) {
    const counts = result.kinds[kind];
    if (counts === undefined || outlivesConnections(kind)) continue;
    for (const key of Object.keys(sum) as (keyof SessionCounts)[]) sum[key] += counts[key];
  }
  return sum;
}
