/** Results of a benchmark as data and as text. A core without IO. */
import { ratiosPerRound } from './rounds.ts';
import { type Spread, spreadOf } from './statistics.ts';

/** What one measurement of one contender gave. */
export interface Sample {
  /** In the scenario's unit; less is better. */
  readonly value: number;
  /** Requests, messages or connections that were served. */
  readonly served: number;
  /** Those that were not, or not rightly. */
  readonly failed: number;
  /** Share of one CPU that the contender used meanwhile. Absent where it says nothing. */
  readonly busyShare?: number;
  readonly perSecond?: number;
}

/** What is aimed at. Printed beside the measurement; timing never fails a run. */
export interface Target {
  readonly contender: string;
  /** The ratio to this contender is meant; `null` means the value itself. */
  readonly base: string | null;
  readonly atMost: number;
}

/** One scenario, measured: for each contender one sample per round. */
export interface ScenarioRun {
  readonly name: string;
  readonly about: string;
  /** `µs CPU/request` */
  readonly unit: string;
  /** Contenders to which the others are compared. */
  readonly bases: readonly string[];
  readonly targets: readonly Target[];
  readonly contenders: readonly { readonly name: string; readonly samples: readonly Sample[] }[];
  /** Contenders that did not take part, and why. */
  readonly absent: readonly { readonly name: string; readonly reason: string }[];
}

export interface ContenderResult {
  readonly name: string;
  readonly value: Spread;
  readonly values: readonly number[];
  readonly served: number;
  readonly failed: number;
  readonly perSecond: number | null;
  readonly busyShare: number | null;
  /** Ratio of this contender's value to each base's, computed round by round. */
  readonly ratios: Readonly<Record<string, Spread>>;
}

export interface TargetResult extends Target {
  /** `null` when the contender or its base was not measured. */
  readonly measured: Spread | null;
}

export interface ScenarioResult {
  readonly name: string;
  readonly about: string;
  readonly unit: string;
  readonly rounds: number;
  readonly contenders: readonly ContenderResult[];
  readonly targets: readonly TargetResult[];
  readonly absent: ScenarioRun['absent'];
}

/** Throws a RangeError for a contender without samples. */
export function summarize(run: ScenarioRun): ScenarioResult {
  const valuesOf = (name: string) =>
    run.contenders
      .find((contender) => contender.name === name)
      ?.samples.map((sample) => sample.value);
  const contenders = run.contenders.map(({ name, samples }): ContenderResult => {
    const values = samples.map((sample) => sample.value);
    const ratios: Record<string, Spread> = {};
    for (const base of run.bases) {
      const perRound = ratiosPerRound(values, valuesOf(base) ?? []);
      if (perRound.length > 0) ratios[base] = spreadOf(perRound);
    }
    return {
      name,
      value: spreadOf(values),
      values,
      served: sum(samples.map((sample) => sample.served)),
      failed: sum(samples.map((sample) => sample.failed)),
      perSecond: medianOf(samples.map((sample) => sample.perSecond)),
      busyShare: medianOf(samples.map((sample) => sample.busyShare)),
      ratios,
    };
  });
  const targets = run.targets.map((target): TargetResult => {
    const found = contenders.find((contender) => contender.name === target.contender);
    const measured = target.base === null ? found?.value : found?.ratios[target.base];
    return { ...target, measured: measured ?? null };
  });
  const { name, about, unit, absent } = run;
  const rounds = Math.max(0, ...run.contenders.map((contender) => contender.samples.length));
  return { name, about, unit, rounds, contenders, targets, absent };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function medianOf(values: readonly (number | undefined)[]): number | null {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? null : spreadOf(known).median;
}

/** Median and, in parentheses, the middle half of all rounds. */
export function spreadText(spread: Spread): string {
  const { median, q1, q3 } = spread;
  return `${short(median)} (${short(q1)}–${short(q3)})`;
}

/** Three digits that matter: `0.65`, `17.9`, `52 614`. */
export function short(value: number): string {
  return value >= 100 ? grouped(value) : value.toFixed(value >= 10 ? 1 : 2);
}

/** `52 614`; the gap does not break a line. */
function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** The scenario as rows of cells, the first being the head. */
export function resultRows(result: ScenarioResult): string[][] {
  const bases = [...new Set(result.contenders.flatMap(({ ratios }) => Object.keys(ratios)))];
  const timed = result.contenders.some(({ perSecond }) => perSecond !== null);
  const head = ['', result.unit, ...bases.map((base) => `× ${base}`)];
  if (timed) head.push('per second', 'CPU busy');
  head.push('served', 'failed');
  const rows = result.contenders.map((contender) => {
    const row = [contender.name, spreadText(contender.value)];
    for (const base of bases) {
      const ratio = contender.ratios[base];
      row.push(base === contender.name ? '1' : ratio === undefined ? '–' : spreadText(ratio));
    }
    if (timed) {
      const { perSecond, busyShare } = contender;
      row.push(perSecond === null ? '–' : short(perSecond));
      row.push(busyShare === null ? '–' : `${Math.round(busyShare * 100)} %`);
    }
    row.push(grouped(contender.served), grouped(contender.failed));
    return row;
  });
  return [head, ...rows];
}

/** `holdfast: 2.41 (2.31–2.59) × nginx; target: at most 2.3` */
export function targetLine(target: TargetResult, unit: string): string {
  const what = target.base === null ? unit : `× ${target.base}`;
  const measured = target.measured === null ? 'not measured' : spreadText(target.measured);
  return `${target.contender}: ${measured} ${what}; target: at most ${target.atMost}`;
}
