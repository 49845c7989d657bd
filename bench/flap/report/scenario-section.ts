/** One scenario in the page: its plots, the numbers behind them, and what else was seen. Pure. */
import { KIND_TITLES } from '../../lab/report/table.ts';
import { type Content, html, type Markup, NOTHING } from '../../measure/page/escape.ts';
import type { Spread } from '../../measure/statistics.ts';
import type { FlapCell, FlapContender, FlapResult, FlapRow, FlapScenario } from '../result.ts';
import { cellsOf, grouped, millis, rateText, rowsOf } from './figures.ts';
import type { PlotData, PlotMark, PlotSeries } from './plots.ts';
import { mergeBuckets, percentiles, timeline, valueAt } from './series.ts';

/** More marks than this are shown as one band. */
const MARKS_MAX = 24;
const STEPS_SHOWN_MAX = 12;

/** The page's share of one scenario. */
export interface ScenarioSection {
  readonly markup: Markup;
  readonly plots: readonly PlotData[];
}

interface Part {
  readonly contender: FlapContender;
  readonly colour: number;
  readonly cells: readonly FlapCell[];
}

/** @param points That a series may have. */
export function scenarioSection(
  result: FlapResult,
  scenario: FlapScenario,
  id: string,
  points: number,
): ScenarioSection {
  const servers = [...new Set(result.contenders.map(({ server }) => server))];
  const parts: Part[] = result.contenders.map((contender) => ({
    contender,
    colour: servers.indexOf(contender.server),
    cells: cellsOf(result, scenario.name, contender.name),
  }));
  const measured = parts.filter(({ cells }) => cells.length > 0);
  const first = eventfulCell(measured);
  const figures = [
    gapFigure(measured, `${id}-gaps`),
    timeFigure(measured, `${id}-bytes`, 'B/s', first, points),
    timeFigure(measured, `${id}-messages`, '/s', first, points),
  ].filter((figure) => figure !== undefined);
  const markup = html`<section class="card" id="${id}">
<h3>${scenario.name}</h3>
<p>${sentence(scenario.about)}${scenario.standsFor === '' ? '' : html` <span class="soft">Stands for: ${scenario.standsFor.replace(/\.$/, '')}.</span>`}</p>
<p class="small soft">${lifeText(scenario)}</p>
${figures.length === 0 ? NOTHING : html`<div class="plots">${figures.map((figure) => figure.markup)}</div>`}
${numbersTable(result, scenario, measured)}
${first === undefined ? NOTHING : happened(first)}
${deathsAndFloods(measured)}
${surprisesOf(measured)}
</section>
`;
  return { markup, plots: figures.map(({ plot }) => plot) };
}

/** A run ends when nobody is left, so the one in which most happened shows what was planned. */
function eventfulCell(parts: readonly Part[]): FlapCell | undefined {
  const happened = ({ flips, steps }: FlapCell) => flips.length + steps.length;
  return parts
    .flatMap(({ cells }) => cells)
    .reduce<FlapCell | undefined>(
      (most, cell) => (most === undefined || happened(cell) > happened(most) ? cell : most),
      undefined,
    );
}

/** With a full stop and a capital letter. */
function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

function lifeText({ durationMs, pops, ownerLives, expected }: FlapScenario): string {
  const words = {
    survive: 'all survive',
    lose: 'none survives',
    some: 'some are lost',
    reset: 'all are reset',
  };
  const word = (key: string) => (words as Record<string, string>)[key] ?? key;
  return `${(durationMs / 1_000).toFixed(1)} s, ${pops} PoPs; the owner ${ownerLives ? 'lives' : 'dies'}. Expected with the agent: ${word(expected.on)}; without: ${word(expected.off)}.`;
}

interface Figure {
  readonly markup: Markup;
  readonly plot: PlotData;
}

/** A plot with its numbers below, for those who do not see it. */
function figure(plot: PlotData, title: string, summary: string, table: Markup): Figure {
  const markup = html`<figure>
<h4>${title}</h4>
<div id="${plot.id}" role="img" aria-label="${`${title}. ${summary} The numbers follow.`}"></div>
<figcaption>${summary}</figcaption>
<details><summary>Numbers</summary>${table}</details>
</figure>
`;
  return { markup, plot };
}

function gapFigure(parts: readonly Part[], id: string): Figure | undefined {
  const list = parts.map(({ contender, colour, cells }) => ({
    label: contender.name,
    colour,
    dashed: !contender.agent,
    buckets: mergeBuckets(cells.map((cell) => cell.gapMs)),
  }));
  const quiet = {
    label: 'quiet time, all',
    colour: -1,
    dashed: true,
    buckets: mergeBuckets(parts.flatMap(({ cells }) => cells.map((cell) => cell.baselineGapMs))),
  };
  const shown = [...list.filter(({ buckets }) => buckets.length > 0)];
  if (shown.length === 0) return undefined;
  if (quiet.buckets.length > 0) shown.push(quiet);
  const { nines, values } = percentiles(shown.map(({ buckets }) => buckets));
  const series = shown.map(
    ({ label, colour, dashed }, i): PlotSeries => ({
      label,
      colour,
      dashed,
      values: values[i] ?? [],
    }),
  );
  const without = list.filter(({ buckets }) => buckets.length === 0).map(({ label }) => label);
  const silent = without.length === 0 ? '' : ` No stream came through: ${without.join(', ')}.`;
  const rows = shown.map(({ label, buckets }) => {
    const count = buckets.reduce((sum, [, n]) => sum + n, 0);
    const at = (share: number) => millis(valueAt(buckets, share * count));
    const last = millis(buckets.at(-1)?.[0]);
    return [
      label,
      grouped(count),
      at(0.5),
      at(0.9),
      at(0.99),
      count >= 1_000 ? at(0.999) : '–',
      last,
    ];
  });
  const head = ['', 'gaps', 'p50, ms', 'p90', 'p99', 'p99.9', 'longest'];
  return figure(
    { id, kind: 'gaps', unit: 'ms', x: nines, series, marks: [], band: null },
    'Gaps between echoes',
    `Share of gaps by length, after something happened.${silent}`,
    table(head, rows, 'Gaps between echoes'),
  );
}

function timeFigure(
  parts: readonly Part[],
  id: string,
  unit: 'B/s' | '/s',
  first: FlapCell | undefined,
  points: number,
): Figure | undefined {
  if (first === undefined) return undefined;
  const of = (cell: FlapCell['throughput']) =>
    unit === 'B/s' ? cell.bytesPerS : cell.messagesPerS;
  const { seconds, values } = timeline(
    parts.map(({ cells }) => cells),
    of,
    points,
  );
  if (!values.some((list) => list.some((value) => value !== null && value > 0))) return undefined;
  const series = parts.map(
    ({ contender, colour }, i): PlotSeries => ({
      label: contender.name,
      colour,
      dashed: !contender.agent,
      values: values[i] ?? [],
    }),
  );
  const { marks, band } = marksOf(first);
  const firstS = Math.min(...marks.map(({ at }) => at), band?.[0] ?? Number.POSITIVE_INFINITY);
  const text =
    unit === 'B/s'
      ? rateText
      : (value: number | null) => (value === null ? '–' : `${millis(value)}/s`);
  const rows = series.map(({ label, values: list }) => {
    const before = list.filter((value, i) => value !== null && (seconds[i] ?? 0) < firstS);
    const after = list.filter((value, i) => value !== null && (seconds[i] ?? 0) >= firstS);
    return [label, text(meanOf(before)), text(meanOf(after)), text(leastOf(after))];
  });
  const head = ['', 'before anything happened', 'afterwards', 'least afterwards'];
  const title = unit === 'B/s' ? 'Transfers, bytes per second' : 'Echoes and answers per second';
  const flips = first.flips.length;
  const moved =
    flips === 0
      ? 'The route did not move.'
      : `The route moved ${flips === 1 ? 'once' : `${flips} times`}; marks are those of one run.`;
  return figure(
    { id, kind: 'time', unit, x: seconds, series, marks, band },
    title,
    moved,
    table(head, rows, title),
  );
}

const meanOf = (values: readonly (number | null)[]): number | null =>
  values.length === 0
    ? null
    : values.reduce<number>((sum, value) => sum + (value ?? 0), 0) / values.length;
const leastOf = (values: readonly (number | null)[]): number | null =>
  values.length === 0
    ? null
    : values.reduce<number>((least, value) => Math.min(least, value ?? 0), Infinity);

function marksOf({ flips, steps }: FlapCell): { marks: PlotMark[]; band: [number, number] | null } {
  const moved = flips.map(({ atMs, from, to }) => ({
    at: Math.round(atMs) / 1_000,
    text: `${shortName(from)} → ${shortName(to)}`,
    flip: true,
  }));
  const done = steps
    .filter(({ atMs }) => atMs > 0)
    .map(({ atMs, type }) => ({ at: Math.round(atMs) / 1_000, text: type, flip: false }));
  const marks = [...moved, ...done].sort((a, b) => a.at - b.at);
  if (marks.length <= MARKS_MAX) return { marks, band: null };
  const [begin, end] = [marks[0], marks.at(-1)];
  return { marks: [], band: [begin?.at ?? 0, end?.at ?? 0] };
}

/** `A` for `pop-a`. */
const shortName = (pop: string): string => /^pop-([a-z])$/.exec(pop)?.[1]?.toUpperCase() ?? pop;

function numbersTable(result: FlapResult, scenario: FlapScenario, parts: readonly Part[]): Markup {
  const head = [
    '',
    'survived',
    'reset',
    'stalled',
    'corrupt',
    'new connections',
    'gap p99, ms',
    'gap longest, ms',
    'connect p99, ms',
    'retransmits',
    'relayed packets',
    'detour adds, ms',
    'agents’ CPU, ms',
    'programs’ CPU, ms',
  ];
  const rows = parts.flatMap(({ contender, cells }) =>
    rowsOf(result, scenario.name, contender.name).map((row) => {
      const { started, survived, reset, stalled, corrupt } = row.sessions;
      const own = cells.filter(({ family }) => family === row.family);
      const detours = own.flatMap(({ detour }) => (detour === null ? [] : [detour]));
      return [
        `${contender.name}${familyTitle(result, row.family)}`,
        `${grouped(survived)} of ${grouped(started)}`,
        grouped(reset),
        grouped(stalled),
        grouped(corrupt),
        connectsText(row),
        spread(row.gapP99Ms, millis),
        spread(row.gapMaxMs, millis),
        spread(row.connectP99Ms, millis),
        spread(row.retransmits, grouped),
        spread(row.relayedPackets, grouped),
        spread(row.addedRttMs, millis),
        middle(detours.map(({ agentsCpuMs }) => agentsCpuMs)),
        middle(detours.map(({ programsCpuMs }) => programsCpuMs)),
      ];
    }),
  );
  // A column in which nothing was measured says nothing.
  const kept = head.map((_, i) => i < 5 || rows.some((row) => row[i] !== '–'));
  const only = (cells: readonly Content[]) => cells.filter((_, i) => kept[i]);
  return table(only(head) as string[], rows.map(only), `${scenario.name}: numbers`);
}

/** Clients that make one connection after the other; a row of an older file may lack them. */
function connectsText({ connects }: FlapRow): string {
  if (connects === undefined || connects.started === 0) return '–';
  return `${grouped(connects.survived)} of ${grouped(connects.started)}`;
}

export const familyTitle = (result: FlapResult, family: number): string =>
  new Set(result.rows.map((row) => row.family)).size > 1 ? ` · IPv${family}` : '';

function middle(values: readonly (number | null)[]): string {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  return known.length === 0 ? '–' : millis(known[Math.floor((known.length - 1) / 2)]);
}

/** Median, and below it the least and the greatest. */
function spread(value: Spread | null, text: (value: number) => string): Content {
  if (value === null) return '–';
  const { median, min, max, count } = value;
  if (count < 2 || text(min) === text(max)) return text(median);
  return html`${text(median)}<small>${text(min)}–${text(max)}</small>`;
}

/**
 * A table that scrolls by itself when the page is narrow, also by keyboard.
 * @param texts Columns of words, from 0; the others are numbers.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly Content[])[],
  label: string,
  texts: readonly number[] = [],
): Markup {
  const kind = (column: number) => (texts.includes(column) ? html` class="text"` : NOTHING);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${label}"><table>
<thead><tr>${head.map((cell, i) => html`<th scope="col"${kind(i)}>${cell}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([name = '', ...cells]) =>
      html`<tr><th scope="row">${name}</th>${cells.map((cell, i) => html`<td${kind(i + 1)}>${cell}</td>`)}</tr>\n`,
  )}</tbody>
</table></div>
`;
}

function happened({ flips, steps }: FlapCell): Markup {
  const lines = [
    ...flips.map(({ atMs, from, to, convergenceMs }) => ({
      atMs,
      text: `route moved from ${from} to ${to}, in ${millis(convergenceMs)} ms`,
    })),
    ...steps.map(({ atMs, text }) => ({ atMs, text })),
  ].sort((a, b) => a.atMs - b.atMs);
  if (lines.length === 0) return NOTHING;
  const shown = lines.slice(0, STEPS_SHOWN_MAX);
  const more = lines.length - shown.length;
  return html`<details><summary>What happened when (${String(lines.length)})</summary><ul class="plain small">
${shown.map(({ atMs, text }) => html`<li>at ${(atMs / 1_000).toFixed(3)} s: ${text}</li>\n`)}${
  more === 0 ? NOTHING : html`<li>and ${String(more)} more</li>`
}</ul></details>
`;
}

function deathsAndFloods(parts: readonly Part[]): Markup {
  const lines = parts.flatMap(({ contender, cells }) =>
    cells.flatMap(({ deaths, flood, repetition }) => [
      ...deaths.map(
        ({ pop, resetSessions, resetAfterMs, servedAfterMs }) =>
          `${contender.name}, run ${repetition}: ${pop} died; ${resetSessions} sessions were reset after ${millis(resetAfterMs.p50)} ms (median, longest ${millis(resetAfterMs.max)}), a new connection was served after ${millis(servedAfterMs)} ms`,
      ),
      ...(flood === null
        ? []
        : [
            `${contender.name}, run ${repetition}: flood of ${grouped(flood.sent)} ${flood.segment.toUpperCase()} segments, ${millis(flood.relayedPerPacket)} packets between PoPs for each`,
          ]),
    ]),
  );
  if (lines.length === 0) return NOTHING;
  return html`<ul class="plain small">${lines.map((line) => html`<li>${line}</li>\n`)}</ul>`;
}

function surprisesOf(parts: readonly Part[]): Markup {
  const lines = parts.flatMap(({ contender, cells }) => {
    const complaints = new Set(cells.flatMap((cell) => cell.complaints));
    const examples = new Map<string, string>();
    for (const cell of cells) {
      for (const [kind, text] of Object.entries(cell.examples)) {
        if (!examples.has(kind)) examples.set(kind, text);
      }
    }
    return [
      ...[...complaints].map((text) => html`<li><b>${contender.name}: ${text}</b></li>\n`),
      ...[...examples].map(
        ([kind, text]) =>
          html`<li>${contender.name}, ${(KIND_TITLES as Record<string, string>)[kind] ?? kind}, for example: <code>${text}</code></li>\n`,
      ),
    ];
  });
  if (lines.length === 0) return NOTHING;
  return html`<details><summary>What clients said</summary><ul class="plain small">${lines}</ul></details>`;
}
