/** The result as Markdown: who survived what, and the numbers beside it. Pure. */
import { markdownHead, markdownTable, markdownText } from '../../measure/markdown.ts';
import type { Spread } from '../../measure/statistics.ts';
import type { FlapResult, FlapRow } from '../result.ts';
import {
  grouped,
  headlineText,
  millis,
  rateText,
  rowsOf,
  scenariosRun,
  surprises,
  survivedText,
  tookText,
} from './figures.ts';

const FAILURES_SHOWN_MAX = 50;

const NUMBERS: readonly (readonly [string, (row: FlapRow) => string])[] = [
  [
    'sessions',
    ({ sessions: { survived, started } }) => `${grouped(survived)} of ${grouped(started)}`,
  ],
  ['gap p50, ms', (row) => spread(row.gapP50Ms, millis)],
  ['gap p99, ms', (row) => spread(row.gapP99Ms, millis)],
  ['longest gap, ms', (row) => spread(row.gapMaxMs, millis)],
  ['connect p99, ms', (row) => spread(row.connectP99Ms, millis)],
  ['segments resent', (row) => spread(row.retransmits, grouped)],
  ['packets relayed', (row) => spread(row.relayedPackets, grouped)],
  ['detour adds, ms', (row) => spread(row.addedRttMs, millis)],
  ['transfers', (row) => spread(row.bytesPerS, rateText)],
];

/** The median and, where there were several repetitions, the least and the greatest. */
function spread(value: Spread | null, text: (value: number) => string): string {
  if (value === null) return '–';
  if (value.count < 2) return text(value.median);
  return `${text(value.median)} (${text(value.min)}–${text(value.max)})`;
}

/** Ends with a newline. */
export function renderMarkdown(result: FlapResult): string {
  const { command, startedAt, machine, versions, suite, seed, tookMs, contenders, failures } =
    result;
  const servers = contenders.map(({ server, version }) => [server, version] as const);
  const state = result.complete
    ? ''
    : ` It is not complete: ${result.cells.length} of ${result.plannedCells} runs.`;
  const lines = [
    `### Figures of \`bench flap\`, suite ${markdownText(suite)}`,
    '',
    ...markdownHead({
      command,
      takenAt: startedAt,
      machine,
      versions: { ...versions, ...Object.fromEntries(servers) },
    }),
    '',
    `Seed ${seed}; took ${tookText(tookMs)}.${state} ${headlineText(result)}`,
    ...survival(result),
    ...numbers(result),
  ];
  const found = surprises(result);
  if (found.length > 0) {
    lines.push('', 'Not as expected:', '', ...found.map((text) => `- ${markdownText(text)}`));
  }
  if (failures.length > 0) {
    lines.push('', 'Runs without a result:', '');
    for (const { scenario, contender, family, repetition, message } of failures.slice(
      0,
      FAILURES_SHOWN_MAX,
    )) {
      const where = `${scenario}, ${contender}, IPv${family}, run ${repetition}`;
      lines.push(`- ${markdownText(`${where}: ${message}`)}`);
    }
    const more = failures.length - FAILURES_SHOWN_MAX;
    if (more > 0) lines.push(`- and ${more} more`);
  }
  return `${lines.join('\n')}\n`;
}

const familiesOf = ({ rows }: FlapResult): number[] =>
  [...new Set(rows.map(({ family }) => family))].sort();

function survival(result: FlapResult): string[] {
  const names = result.contenders.map(({ name }) => name);
  return familiesOf(result).flatMap((family) => {
    const rows = scenariosRun(result).map(({ name, ownerLives }) => [
      ownerLives ? name : `${name} †`,
      ...names.map((contender) => {
        const row = rowsOf(result, name, contender).find((one) => one.family === family);
        return row === undefined ? '–' : survivedText(row.sessions.survived, row.sessions.started);
      }),
    ]);
    const dying = rows.some(([name]) => name?.endsWith('†'));
    return [
      '',
      `Sessions that survived, IPv${family}${dying ? ' († the owner does not live through it)' : ''}:`,
      '',
      ...markdownTable([['', ...names], ...rows]),
    ];
  });
}

function numbers(result: FlapResult): string[] {
  if (result.rows.length === 0) return [];
  const many = familiesOf(result).length > 1;
  const rows = result.rows.map((row) => [
    `${row.scenario}, ${row.contender}${many ? `, IPv${row.family}` : ''}`,
    ...NUMBERS.map(([, of]) => of(row)),
  ]);
  const head = ['', ...NUMBERS.map(([title]) => title)];
  return ['', 'Medians of the repetitions:', '', ...markdownTable([head, ...rows])];
}
