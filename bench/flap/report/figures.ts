/** What all forms of the report say in the same words. A core without IO. */
import type { FlapCell, FlapResult, FlapRow, FlapScenario } from '../result.ts';

/** `100 %`, `99.99 %`, `0 %`: never 100 unless all survived, never 0 unless none did. */
export function survivedText(survived: number, started: number): string {
  if (started === 0) return '–';
  const percent = (survived / started) * 100;
  if (survived === started) return '100 %';
  if (survived === 0) return '0 %';
  const digits = percent > 99 || percent < 1 ? 2 : 1;
  const shown = Math.min(99.99, Math.max(0.01, percent)).toFixed(digits);
  return `${shown} %`;
}

export type Verdict = 'good' | 'some' | 'bad';

export function verdictOf(survived: number, started: number): Verdict {
  if (survived === started) return 'good';
  return survived === 0 ? 'bad' : 'some';
}

/** `12.3` or a dash. */
export function millis(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  if (value >= 100) return value.toFixed(0);
  return value.toFixed(value < 10 ? 2 : 1);
}

/** `4.2 MB/s` */
export function rateText(bytesPerS: number | null | undefined): string {
  if (bytesPerS === null || bytesPerS === undefined) return '–';
  if (bytesPerS >= 1e9) return `${(bytesPerS / 1e9).toFixed(2)} GB/s`;
  if (bytesPerS >= 1e6) return `${(bytesPerS / 1e6).toFixed(2)} MB/s`;
  if (bytesPerS >= 1e3) return `${(bytesPerS / 1e3).toFixed(1)} kB/s`;
  return `${bytesPerS.toFixed(0)} B/s`;
}

/** `12 345`, digits in threes, not broken between lines. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** `1 h 2 min`, `3 min 20 s`, `61.0 s` */
export function tookText(ms: number): string {
  const seconds = ms / 1_000;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** The rows of one scenario and contender: one per family. */
export function rowsOf(result: FlapResult, scenario: string, contender: string): FlapRow[] {
  return result.rows.filter((row) => row.scenario === scenario && row.contender === contender);
}

export function cellsOf(result: FlapResult, scenario: string, contender: string): FlapCell[] {
  return result.cells.filter((cell) => cell.scenario === scenario && cell.contender === contender);
}

/** Scenarios of which something was measured or tried. */
export function scenariosRun({ scenarios, rows, failures }: FlapResult): FlapScenario[] {
  return scenarios.filter(({ name }) =>
    [...rows, ...failures].some(({ scenario }) => scenario === name),
  );
}

export interface Totals {
  readonly started: number;
  readonly survived: number;
}

function totalsOf(rows: readonly FlapRow[]): Totals {
  return {
    started: rows.reduce((sum, { sessions }) => sum + sessions.started, 0),
    survived: rows.reduce((sum, { sessions }) => sum + sessions.survived, 0),
  };
}

/** Sessions in scenarios in which their owner lives: with the agent, and without. */
export function headline(result: FlapResult): { readonly on: Totals; readonly off: Totals } {
  const living = new Set(
    result.scenarios.filter(({ ownerLives }) => ownerLives).map(({ name }) => name),
  );
  const rows = result.rows.filter(({ scenario }) => living.has(scenario));
  return {
    on: totalsOf(rows.filter(({ agent }) => agent)),
    off: totalsOf(rows.filter(({ agent }) => !agent)),
  };
}

/** Of a server outside the lab: only the clients were seen. */
export const isExternal = ({ suite }: FlapResult): boolean => suite === 'external';

/** In a sentence or two. */
export function headlineText(result: FlapResult): string {
  const { on, off } = headline(result);
  const parts: string[] = [];
  const of = ({ survived, started }: Totals) => `${grouped(survived)} of ${grouped(started)}`;
  if (on.started > 0) parts.push(`with the agent ${of(on)} sessions survived`);
  if (off.started > 0) parts.push(`without it ${of(off)}`);
  if (result.rows.length === 0) return 'Nothing was measured.';
  // Of a server outside the lab nobody knows what it has beside it, nor what happened to its PoPs.
  if (isExternal(result)) return `${of(totalsOf(result.rows))} sessions survived.`;
  if (parts.length === 0) return 'No scenario in which the owner lives was measured.';
  return `Where the PoP that holds the sessions lives, ${parts.join(', ')}.`;
}

/** Differences from what the scenarios expect, with where they were seen. */
export function surprises({ rows }: FlapResult): string[] {
  return rows.flatMap((row) =>
    row.complaints.map((text) => `${row.scenario}, ${row.contender}, IPv${row.family}: ${text}`),
  );
}

/** How it was measured, for people who do not know this project. */
export function methodOf(result: FlapResult): readonly string[] {
  return isExternal(result) ? [OUTSIDE, ...METHOD.slice(1, 3)] : METHOD;
}

const OUTSIDE =
  'Only the clients were seen: unmodified programs (curl, WebSocket, SSE) against an address of the user’s. What happened to the route is what the user’s own command did at each event; how it was done, and what the network thought of it, is not known here.';

const METHOD: readonly string[] = [
  'Everything is real but the distance: kernels, TCP stacks, BGP daemons and clients run in network namespaces of one machine. Clients are unmodified (curl, WebSocket, SSE) and are told nothing of the route.',
  'A session survives when it ends as planned, with the right bytes or messages, through everything that happened. Reset: an error, a reset or an early close. Stalled: no progress within the limit. Corrupt: wrong bytes or order.',
  'A gap is the time between two echoes of one stream; those that touch the time after something happened are shown, and beside them those of the quiet time before. A stream that ended is no gap: it is counted as lost.',
  'The same scenarios run with the agent beside each server and without it. Runs without it are the control: a scenario that breaks nothing would prove nothing.',
  'Survival is the sum of all repetitions. Other columns are medians of the repetitions, with the least and the greatest of them.',
  'All PoPs share one machine’s processors; gaps of a busy machine are the machine’s. The gaps of the quiet time tell how quiet it was.',
];
