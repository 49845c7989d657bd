/** The whole result as one HTML file for people. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { html, jsonForScript, type Markup, NOTHING } from '../../measure/page/escape.ts';
import { page } from '../../measure/page/page.ts';
import type { FlapContender, FlapResult, FlapScenario } from '../result.ts';
import {
  grouped,
  headline,
  headlineText,
  isExternal,
  methodOf,
  rowsOf,
  scenariosRun,
  surprises,
  survivedText,
  type Totals,
  tookText,
  verdictOf,
} from './figures.ts';
import { drawPlots } from './plots.ts';
import { familyTitle, scenarioSection, table } from './scenario-section.ts';
import { pointsPerSeries } from './series.ts';

/** Plots with a line per contender, at most three for each scenario. */
const PLOTS_PER_SCENARIO = 3;
const SURPRISES_SHOWN_MAX = 30;

/**
 * One self-contained HTML file: it asks no network for anything, works without a server, in light and
 * dark, on paper and on a phone. Everything from outside is escaped, and the page's own policy lets
 * the browser run nothing but the programs that belong to it. Some megabytes at most, whatever the
 * length of the run: series are thinned.
 */
export function renderHtml(result: FlapResult): string {
  const scenarios = scenariosRun(result);
  const points = pointsPerSeries(scenarios.length * result.contenders.length * PLOTS_PER_SCENARIO);
  const sections = scenarios.map((scenario, i) =>
    scenarioSection(result, scenario, `scenario-${i}`, points),
  );
  const uplot = uPlotFiles();
  const body = html`<header>
<h1>What happens to sessions when the route moves</h1>
<p>${headlineText(result)}</p>
<p class="soft small">Flap benchmark, suite ${result.suite}, seed ${String(result.seed)}, ${result.startedAt}, ${tookText(result.tookMs)}</p>
</header>
<main>
${tiles(result)}
${incomplete(result)}
<h2 id="survival">Survival</h2>
<p>Sessions that went through everything and ended as planned, over all repetitions.</p>
${survivalTable(result, scenarios)}
<ul class="key"><li><i class="good"></i>all survived</li><li><i class="some"></i>some were lost</li><li><i class="bad"></i>none survived</li><li>whole lines in plots: with the agent; broken lines: without</li></ul>
${surpriseList(result)}
${failureTable(result)}
<h2 id="scenarios">Scenarios</h2>
<nav aria-label="Scenarios">${scenarios.map(({ name }, i) => html`<a href="#scenario-${String(i)}">${name}</a> `)}</nav>
${sections.map(({ markup }) => markup)}
<h2 id="method">Method</h2>
<ul class="plain">${methodOf(result).map((line) => html`<li>${line}</li>\n`)}</ul>
<h2 id="machine">Machine and versions</h2>
${machine(result)}
<h2 id="again">Run it again</h2>
<p>With the same seed the same sessions are made; survival is then the same.</p>
<pre>${result.command}</pre>
</main>
`;
  const plots = sections.flatMap((section) => section.plots);
  return page({
    title: `Flap benchmark, ${result.suite}, seed ${result.seed}`,
    body,
    styles: [uplot.style, PLOT_STYLE],
    scripts: [uplot.script, `(${drawPlots.toString()})();`],
    data: html`<script type="application/json" id="plot-data">${jsonForScript(plots)}</script>`,
  });
}

/** uPlot's own style has a light legend only. */
const PLOT_STYLE = `
.uplot { font-family: inherit; max-width: 100%; }
.u-legend { font-size: .8rem; text-align: left; color: var(--ink); }
.u-legend .u-marker { width: 1.3em; height: 0; border-width: 0 0 .18em 0 !important; vertical-align: .25em; background: none !important; }
.u-legend th { font-weight: 400; position: static; background: none; min-width: 0; max-width: none; }
.u-legend td, .u-legend th { border: 0; padding: 0 .25em; text-align: left; }
.u-inline tr { margin-right: .9em; }
.u-legend .u-value { min-width: 0; color: var(--soft); }
.u-select { background: rgba(127,127,127,.18); }
.u-cursor-x, .u-cursor-y { border-color: var(--soft) !important; }
`;

function uPlotFiles(): { script: string; style: string } {
  const directory = dirname(createRequire(import.meta.url).resolve('uplot/package.json'));
  const file = (name: string) => readFileSync(join(directory, 'dist', name), 'utf8').trim();
  return { script: file('uPlot.iife.min.js'), style: file('uPlot.min.css') };
}

function tiles(result: FlapResult): Markup {
  const { on, off } = headline(result);
  const share = ({ survived, started }: Totals, text: string, tone: string) =>
    html`<div class="tile ${tone}"><b>${survivedText(survived, started)}</b><span>${text}: ${grouped(survived)} of ${grouped(started)} sessions</span></div>`;
  const relayed = result.cells.reduce((sum, cell) => sum + (cell.relayedPackets ?? 0), 0);
  const flips = result.cells.reduce((sum, cell) => sum + cell.flips.length, 0);
  const good = on.survived === on.started ? 'good' : 'bad';
  if (isExternal(result)) {
    const all = { started: on.started + off.started, survived: on.survived + off.survived };
    return html`<div class="tiles">
${all.started === 0 ? NOTHING : share(all, 'survived', '')}
<div class="tile"><b>${grouped(flips)}</b><span>events that move the route, in ${grouped(result.cells.length)} runs</span></div>
</div>
`;
  }
  return html`<div class="tiles">
${on.started === 0 ? NOTHING : share(on, 'with the agent, owner alive', good)}
${off.started === 0 ? NOTHING : share(off, 'without it, owner alive', '')}
<div class="tile"><b>${grouped(flips)}</b><span>moves of the route in ${grouped(result.cells.length)} runs</span></div>
<div class="tile"><b>${grouped(relayed)}</b><span>packets carried to the owner of their flow</span></div>
</div>
`;
}

function incomplete({ complete, plannedCells, cells }: FlapResult): Markup {
  if (complete) return NOTHING;
  return html`<p class="note">This run is not complete: ${String(cells.length)} of ${String(plannedCells)} planned runs have results.</p>`;
}

function survivalTable(result: FlapResult, scenarios: readonly FlapScenario[]): Markup {
  const { contenders } = result;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Survival by scenario and server"><table id="survival-table">
<thead><tr><th scope="col">Scenario</th>${contenders.map(
    ({ name, version }) => html`<th scope="col">${name}<small>${version}</small></th>`,
  )}</tr></thead>
<tbody>${scenarios.map(
    (scenario, i) =>
      html`<tr><th scope="row"><a href="#scenario-${String(i)}">${scenario.name}</a><small>${scenario.ownerLives ? 'owner lives' : 'owner dies'}</small></th>${contenders.map(
        (contender) => survivalCell(result, scenario, contender),
      )}</tr>\n`,
  )}</tbody>
</table></div>
`;
}

function survivalCell(
  result: FlapResult,
  scenario: FlapScenario,
  contender: FlapContender,
): Markup {
  const rows = rowsOf(result, scenario.name, contender.name);
  const failed = result.failures.filter(
    (failure) => failure.scenario === scenario.name && failure.contender === contender.name,
  ).length;
  const failures = failed === 0 ? NOTHING : html`<small>${String(failed)} not run</small>`;
  if (rows.length === 0) return html`<td><b>–</b>${failures}</td>`;
  const started = rows.reduce((sum, row) => sum + row.sessions.started, 0);
  const survived = rows.reduce((sum, row) => sum + row.sessions.survived, 0);
  const lines = rows.map(
    ({ family, sessions }) =>
      html`<b>${survivedText(sessions.survived, sessions.started)}</b><small>${grouped(sessions.survived)} of ${grouped(sessions.started)}${familyTitle(result, family)}</small>`,
  );
  return html`<td class="${verdictOf(survived, started)}">${lines}${failures}</td>`;
}

function surpriseList(result: FlapResult): Markup {
  const found = surprises(result);
  if (found.length === 0) {
    return result.rows.length === 0
      ? NOTHING
      : html`<p class="small soft">Everything came out as the scenarios expect.</p>`;
  }
  const more = found.length - SURPRISES_SHOWN_MAX;
  return html`<div class="note"><b>Not as expected</b><ul class="plain">${found
    .slice(0, SURPRISES_SHOWN_MAX)
    .map(
      (text) => html`<li>${text}</li>\n`,
    )}${more > 0 ? html`<li>and ${String(more)} more</li>` : NOTHING}</ul></div>`;
}

function failureTable({ failures }: FlapResult): Markup {
  if (failures.length === 0) return NOTHING;
  const rows = failures.map(({ scenario, contender, family, repetition, message }) => [
    scenario,
    contender,
    `IPv${family}`,
    String(repetition),
    html`<code>${message}</code>`,
  ]);
  const head = ['Scenario', 'server', 'family', 'run', 'why'];
  return html`<h2 id="failures">Runs without a result</h2><p>Nothing is known about sessions there.</p>${table(head, rows, 'Runs without a result', [4])}`;
}

function machine({ machine: it, versions, contenders }: FlapResult): Markup {
  const facts: [string, string][] = [
    ['processor', `${it.cpus} × ${it.cpuModel}`],
    ['memory', `${(it.memoryBytes / 2 ** 30).toFixed(1)} GiB`],
    ['kernel', it.kernel],
    ['open files at most', grouped(it.openFilesMax)],
    ...Object.entries(versions)
      .filter(([name]) => name !== 'kernel')
      .map(([name, version]): [string, string] => [name, version]),
    ...contenders.map(({ name, version }): [string, string] => [
      name,
      version || 'says no version',
    ]),
  ];
  return html`<dl>${facts.map(([name, text]) => html`<dt>${name}</dt><dd>${text}</dd>\n`)}</dl>`;
}
