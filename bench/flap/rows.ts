/** Repetitions taken together. Pure. */

import type { SessionCounts } from '../lab/measure/result.ts';
import { type Spread, spreadOf } from '../measure/statistics.ts';
import type { FlapCell, FlapRow } from './result.ts';

const spread = (values: readonly (number | null)[]): Spread | null => {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : spreadOf(known);
};

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

const COUNTS = ['started', 'survived', 'reset', 'stalled', 'corrupt'] as const;

function sumOf(all: readonly SessionCounts[]): SessionCounts {
  const entries = COUNTS.map((key) => [key, all.reduce((sum, counts) => sum + counts[key], 0)]);
  return Object.fromEntries(entries) as SessionCounts;
}

/** One row for each scenario, contender and family, in the order of their first cells. */
export function rowsOf(cells: readonly FlapCell[]): FlapRow[] {
  const groups = new Map<string, FlapCell[]>();
  for (const cell of cells) {
    const key = `${cell.scenario} ${cell.contender} ${cell.family}`;
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [cell]);
    else known.push(cell);
  }
  return [...groups.values()].map(rowOf);
}

function rowOf(cells: readonly FlapCell[]): FlapRow {
  const { scenario, contender, server, agent, family } = cells[0]!;
  const connects = cells.map((cell) => cell.kinds.connect);
  const connected = (key: 'started' | 'survived') =>
    connects.reduce((sum, counts) => sum + (counts?.[key] ?? 0), 0);
  const share = ({ started, survived }: SessionCounts) => (100 * survived) / Math.max(1, started);
  return {
    scenario,
    contender,
    server,
    agent,
    family,
    repetitions: cells.length,
    sessions: sumOf(cells.map((cell) => cell.sessions)),
    connects: { started: connected('started'), survived: connected('survived') },
    survivedPercent: spreadOf(cells.map((cell) => share(cell.sessions))),
    gapP50Ms: spread(cells.map((cell) => cell.gapMs.p50)),
    gapP99Ms: spread(cells.map((cell) => cell.gapMs.p99)),
    gapMaxMs: spread(cells.map((cell) => cell.gapMs.max)),
    baselineGapP99Ms: spread(cells.map((cell) => cell.baselineGapMs.p99)),
    connectP99Ms: spread(cells.map((cell) => cell.connectMs.p99)),
    retransmits: spread(cells.map((cell) => cell.retransmits)),
    relayedPackets: spread(cells.map((cell) => cell.relayedPackets)),
    addedRttMs: spread(cells.map((cell) => cell.detour?.addedRttMs ?? null)),
    bytesPerS: spread(cells.map((cell) => mean(cell.throughput.bytesPerS))),
    messagesPerS: spread(cells.map((cell) => mean(cell.throughput.messagesPerS))),
    complaints: [...new Set(cells.flatMap((cell) => cell.complaints))],
  };
}
