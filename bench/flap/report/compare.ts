/**
 * Two runs of the same suite beside each other: what became worse. A core without IO.
 *
 * Survival needs no statistics: with one seed the same sessions are made, so one that is lost is
 * lost. Times and rates differ from run to run; they count only beyond the spread of both runs, and
 * only when the difference is worth a word.
 */

import { BenchError } from '../../measure/errors.ts';
import type { Spread } from '../../measure/statistics.ts';
import type { FlapResult, FlapRow } from '../result.ts';
import { survivedText } from './figures.ts';

/**
 * What is compared besides survival, whether more or less of it is better, and the least difference
 * that counts: a machine that is busier for a minute moves gaps by some milliseconds.
 */
const MEASURES = [
  ['gapP50Ms', 'gap p50, ms', 'less', 5],
  ['gapP99Ms', 'gap p99, ms', 'less', 5],
  ['gapMaxMs', 'longest gap, ms', 'less', 5],
  ['connectP99Ms', 'connect p99, ms', 'less', 5],
  ['addedRttMs', 'detour adds, ms', 'less', 1],
  ['bytesPerS', 'bytes per second', 'more', 0],
  ['messagesPerS', 'messages per second', 'more', 0],
] as const;

/** The least difference that counts, as a share of the greater median. */
const SHARE_LEAST = 0.1;
/** With two repetitions each, one run lies beyond the other by chance in every third case. */
const REPETITIONS_LEAST = 3;

export type MeasureName = (typeof MEASURES)[number][0];

/** One difference. */
export interface Change {
  readonly scenario: string;
  readonly contender: string;
  readonly family: 4 | 6;
  readonly measure: 'survived' | 'connects' | MeasureName;
  /** For people, with its unit. */
  readonly title: string;
  readonly old: string;
  readonly new: string;
}

export interface Comparison {
  /** Sessions lost that survived before, a row that has no result any more, or a time or rate that is worse beyond both spreads. */
  readonly regressions: readonly Change[];
  readonly improvements: readonly Change[];
  /** Rows that both runs have. */
  readonly compared: number;
  /** Rows that only one of them has, in words. */
  readonly missing: readonly string[];
  /** What a reader must know to believe the rest. */
  readonly notes: readonly string[];
}

/**
 * @throws BenchError `ERR_BENCH_USAGE` when the two cannot be compared: another suite, seed or
 *   family, or nothing in common.
 */
export function compare(old: FlapResult, now: FlapResult): Comparison {
  refuseStrangers(old, now);
  const keyOf = ({ scenario, contender, family }: FlapRow) =>
    JSON.stringify([scenario, contender, family]);
  const before = new Map(old.rows.map((row) => [keyOf(row), row]));
  const after = new Map(now.rows.map((row) => [keyOf(row), row]));
  const regressions: Change[] = [];
  const improvements: Change[] = [];
  let compared = 0;
  for (const [key, row] of after) {
    const was = before.get(key);
    if (was === undefined) continue;
    compared += 1;
    for (const [change, isWorse] of changes(was, row)) {
      (isWorse ? regressions : improvements).push(change);
    }
  }
  if (compared === 0) {
    throw usage(
      'The two runs have no scenario and server in common, so there is nothing to compare.',
    );
  }
  for (const [key, row] of before) {
    if (!after.has(key) && failed(now, row)) regressions.push(withoutResult(row));
  }
  const only = (rows: Map<string, FlapRow>, others: Map<string, FlapRow>, which: string) =>
    [...rows].flatMap(([key, { scenario, contender, family }]) =>
      others.has(key) ? [] : [`${scenario}, ${contender}, IPv${family}: only in the ${which} run`],
    );
  const missing = [...only(before, after, 'old'), ...only(after, before, 'new')];
  return { regressions, improvements, compared, missing, notes: notesOf(old, now) };
}

const usage = (text: string): BenchError => new BenchError(text, 'ERR_BENCH_USAGE');

const familiesOf = ({ rows }: FlapResult): string =>
  [...new Set(rows.map(({ family }) => `IPv${family}`))].sort().join(' and ') || 'none';

function refuseStrangers(old: FlapResult, now: FlapResult): void {
  const facts: [string, string, string][] = [
    ['suite', old.suite, now.suite],
    ['seed', String(old.seed), String(now.seed)],
    ['IP version', familiesOf(old), familiesOf(now)],
  ];
  for (const [name, before, after] of facts) {
    if (before === after) continue;
    throw usage(
      `The old run has the ${name} ${before}, the new one ${after}: their sessions are not the same, so they cannot be compared. Run again with the old run's ${name}.`,
    );
  }
}

/** Each with whether it is for the worse. */
function* changes(old: FlapRow, now: FlapRow): Generator<[Change, boolean]> {
  const { scenario, contender, family } = now;
  const base = { scenario, contender, family };
  const [was, is] = [survivedShare(old), survivedShare(now)];
  if (was !== is) {
    const change = {
      ...base,
      measure: 'survived',
      title: 'survived',
      old: survivalText(old),
      new: survivalText(now),
    } as const;
    yield [change, is < was];
  }
  // Another count of clients is another load, and files of earlier versions have none.
  if (old.connects?.started === now.connects?.started) {
    const [before, after] = [old.connects?.survived ?? 0, now.connects?.survived ?? 0];
    const text = (count: number) => `${count} of ${now.connects?.started ?? 0}`;
    const change = {
      ...base,
      measure: 'connects',
      title: 'clients that could always connect',
      old: text(before),
      new: text(after),
    } as const;
    if (before !== after) yield [change, after < before];
  }
  for (const [measure, title, better, least] of MEASURES) {
    const [before, after] = [old[measure], now[measure]];
    if (before === null || after === null || !isBeyondSpread(before, after)) continue;
    if (!isWorthAWord(before.median, after.median, least)) continue;
    const isWorse = better === 'less' ? after.median > before.median : after.median < before.median;
    yield [{ ...base, measure, title, old: spreadText(before), new: spreadText(after) }, isWorse];
  }
}

const survivalText = ({ sessions: { survived, started } }: FlapRow): string =>
  `${survivedText(survived, started)} (${survived} of ${started})`;

function failed({ failures }: FlapResult, row: FlapRow): boolean {
  return failures.some(
    ({ scenario, contender, family }) =>
      scenario === row.scenario && contender === row.contender && family === row.family,
  );
}

/** What could be run before and cannot now. */
function withoutResult(row: FlapRow): Change {
  const { scenario, contender, family } = row;
  const old = survivalText(row);
  return {
    scenario,
    contender,
    family,
    measure: 'survived',
    title: 'survived',
    old,
    new: 'no result',
  };
}

const survivedShare = ({ sessions: { survived, started } }: FlapRow): number =>
  started === 0 ? 1 : survived / started;

/**
 * True when no value of one run lies among those of the other, and the medians are farther apart
 * than either run's own values. A few repetitions have no spread to speak of, so they prove nothing.
 */
function isBeyondSpread(a: Spread, b: Spread): boolean {
  if (a.count < REPETITIONS_LEAST || b.count < REPETITIONS_LEAST) return false;
  if (a.min <= b.max && b.min <= a.max) return false;
  return Math.abs(a.median - b.median) > Math.max(a.max - a.min, b.max - b.min);
}

function isWorthAWord(before: number, after: number, least: number): boolean {
  const difference = Math.abs(after - before);
  return difference >= least && difference >= SHARE_LEAST * Math.max(before, after);
}

function spreadText({ median, min, max }: Spread): string {
  const short = (value: number) => String(Number(value.toPrecision(4)));
  return `${short(median)} (${short(min)}–${short(max)})`;
}

function notesOf(old: FlapResult, now: FlapResult): string[] {
  const notes: string[] = [];
  for (const [which, run] of [
    ['old', old],
    ['new', now],
  ] as const) {
    if (!run.complete) notes.push(`The ${which} run is not complete.`);
    if (run.failures.length > 0) {
      notes.push(`In the ${which} run ${run.failures.length} runs have no result.`);
    }
  }
  const few = [...old.rows, ...now.rows].some(({ repetitions }) => repetitions < REPETITIONS_LEAST);
  if (few) {
    notes.push(
      `Where a run has fewer than ${REPETITIONS_LEAST} repetitions, times and rates have no spread and are not judged, only survival is: --repetitions ${REPETITIONS_LEAST} in both runs.`,
    );
  }
  const machine = ({ machine: { cpuModel, cpus, kernel } }: FlapResult) =>
    `${cpus} × ${cpuModel}, kernel ${kernel}`;
  if (machine(old) !== machine(now)) {
    notes.push(`The machines differ: ${machine(old)}; now ${machine(now)}.`);
  }
  return notes;
}
