/** The result as lines for a terminal. Pure. */
import { fit, milliseconds, right, wrap } from '../../lab/report/text.ts';
import type { FlapResult, FlapRow } from '../result.ts';
import {
  grouped,
  headlineText,
  rateText,
  rowsOf,
  scenariosRun,
  surprises,
  survivedText,
  tookText,
} from './figures.ts';

const WIDTH = 78;
const NAME_WIDTH_MAX = 24;
const COLUMN_WIDTH_MIN = 10;
const COLUMN_WIDTH_MAX = 22;
const SURPRISES_SHOWN_MAX = 20;

/** Survival first, then the numbers of every row, then what was not as expected. Fits 80 columns
 * with few contenders; with many the tables are split. */
export function renderTable(result: FlapResult): string[] {
  const { suite, seed, tookMs, complete, cells, plannedCells, failures } = result;
  const state = complete ? '' : `, not complete: ${cells.length} of ${plannedCells} runs`;
  const lines = [
    `Flap benchmark · suite ${clean(suite)} · seed ${seed} · ${tookText(tookMs)}${state}`,
    ...wrap(headlineText(result), WIDTH),
    ...survivalLines(result),
    ...numberLines(result),
  ];
  const found = surprises(result).map(clean);
  if (found.length > 0) {
    lines.push('', 'Not as expected');
    for (const text of found.slice(0, SURPRISES_SHOWN_MAX)) lines.push(...indented(text));
    const more = found.length - SURPRISES_SHOWN_MAX;
    if (more > 0) lines.push(`  and ${more} more`);
  }
  if (failures.length > 0) {
    lines.push('', 'Runs without a result: nothing is known about sessions there');
    for (const { scenario, contender, family, repetition, message } of failures) {
      const where = `${scenario}, ${contender}, IPv${family}, run ${repetition}`;
      lines.push(...indented(clean(`${where}: ${message}`)));
    }
  }
  return lines;
}

const indented = (text: string): string[] =>
  wrap(text, WIDTH - 2).map((line, i) => `${i === 0 ? '  ' : '    '}${line}`);

/** What programs said may hold anything; a terminal would obey some of it. */
export function clean(text: string): string {
  return text
    .toWellFormed()
    .replace(/\p{C}+/gu, ' ')
    .trim();
}

const families = (result: FlapResult): number[] =>
  [...new Set(result.rows.map(({ family }) => family))].sort();

function survivalLines(result: FlapResult): string[] {
  if (result.rows.length === 0) return [];
  const scenarios = scenariosRun(result);
  const names = scenarios.map(({ name }) => name.length);
  const nameWidth = Math.min(NAME_WIDTH_MAX, Math.max(8, ...names)) + 1;
  const widest = Math.max(...result.contenders.map(({ name }) => clean(name).length), 0) + 2;
  const width = Math.min(COLUMN_WIDTH_MAX, Math.max(COLUMN_WIDTH_MIN, widest));
  const perTable = Math.max(1, Math.floor((WIDTH - nameWidth) / width));
  const lines: string[] = [];
  for (let at = 0; at < result.contenders.length; at += perTable) {
    const shown = result.contenders.slice(at, at + perTable);
    for (const family of families(result)) {
      const many = families(result).length > 1;
      const title = many ? `IPv${family}` : 'survived';
      const heads = shown.map(({ name }) => right(fit(clean(name), width - 2).trimEnd(), width));
      lines.push('', `${fit(title, nameWidth)}${heads.join('')}`);
      lines.push('─'.repeat(nameWidth + width * shown.length));
      for (const { name } of scenarios) {
        const cells = shown.map((contender) => {
          const row = rowsOf(result, name, contender.name).find((one) => one.family === family);
          return right(row === undefined ? '–' : share(row), width);
        });
        lines.push(`${fit(clean(name), nameWidth)}${cells.join('')}`);
      }
    }
  }
  return lines;
}

const share = ({ sessions }: FlapRow): string => survivedText(sessions.survived, sessions.started);

const NUMBERS: readonly (readonly [string, number, (row: FlapRow) => string])[] = [
  ['sessions', 13, ({ sessions }) => `${grouped(sessions.survived)}/${grouped(sessions.started)}`],
  ['gap p99', 9, (row) => milliseconds(row.gapP99Ms?.median ?? null)],
  ['longest', 9, (row) => milliseconds(row.gapMaxMs?.median ?? null)],
  ['resent', 8, (row) => (row.retransmits === null ? '–' : grouped(row.retransmits.median))],
  ['relayed', 9, (row) => (row.relayedPackets === null ? '–' : grouped(row.relayedPackets.median))],
  ['transfers', 12, (row) => rateText(row.bytesPerS?.median)],
];

function numberLines(result: FlapResult): string[] {
  const nameWidth = WIDTH - NUMBERS.reduce((sum, [, width]) => sum + width, 0);
  const many = families(result).length > 1;
  if (result.rows.length === 0) return [];
  const lines = ['', 'medians of the repetitions; gaps between echoes in ms'];
  for (const { name } of scenariosRun(result)) {
    if (!result.rows.some(({ scenario }) => scenario === name)) continue;
    const heads = NUMBERS.map(([title, width]) => right(title, width));
    lines.push('', `${fit(clean(name), nameWidth)}${heads.join('')}`);
    for (const contender of result.contenders) {
      for (const row of rowsOf(result, name, contender.name)) {
        const label = `  ${clean(contender.name)}${many ? ` IPv${row.family}` : ''}`;
        const cells = NUMBERS.map(([, width, of]) => right(of(row), width));
        lines.push(`${fit(label, nameWidth)}${cells.join('')}`);
      }
    }
  }
  return lines;
}
