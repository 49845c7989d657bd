/** Results of the micro benchmarks in one form: data, text, and a page. Pure. */
import {
  type Envelope,
  envelopeLines,
  type FactTable,
  factLines,
  type Layout,
} from './envelope.ts';
import type { Machine } from './machine.ts';
import { html, type Markup, NOTHING } from './page/escape.ts';
import { page } from './page/page.ts';
import { resultRows, type ScenarioResult, targetLine } from './report.ts';

/** What a benchmark gives; who ran it and how is added around it. */
export interface Measured {
  readonly bench: string;
  readonly takenAt: string;
  readonly machine: Machine;
  readonly method: readonly string[];
  readonly scenarios: readonly ScenarioResult[];
  /** Counts and simulated times, which need no base. */
  readonly facts?: readonly FactTable[];
}

export interface BenchReport extends Envelope {
  readonly scenarios: readonly ScenarioResult[];
  readonly facts: readonly FactTable[];
}

/** @param command What was typed. */
export function enveloped<M extends Measured>(
  measured: M,
  command: string,
  versions: Readonly<Record<string, string>>,
): M & BenchReport {
  return { ...measured, command, versions, facts: measured.facts ?? [] };
}

export function benchText(report: BenchReport, layout: Layout): string {
  const lines = envelopeLines(report);
  for (const scenario of report.scenarios) {
    const rows = resultRows(scenario);
    const right = (rows[0] ?? []).map((_, i) => i).slice(1);
    lines.push('', `${scenario.name} · ${scenario.about} · rounds: ${scenario.rounds}`);
    lines.push(layout(rows, right));
    for (const { name, reason } of scenario.absent) lines.push(`  without ${name}: ${reason}`);
    for (const target of scenario.targets) lines.push(`  ${targetLine(target, scenario.unit)}`);
  }
  for (const table of report.facts) lines.push('', ...factLines(table, layout));
  return `${lines.join('\n')}\n`;
}

/** One self-contained page for one or several benchmarks. */
export function benchHtml(reports: readonly BenchReport[]): string {
  const names = reports.map(({ bench }) => bench).join(', ');
  const [first] = reports;
  const measured = reports.some(({ scenarios }) => scenarios.length > 0);
  const reading = html`
<p>Ratios compare values of the same round on the same machine. Given are the median of all rounds and, in parentheses, the quartiles.</p>`;
  const body = html`<header><h1>Benchmarks: ${names}</h1>${measured ? reading : NOTHING}</header>
<main>
${reports.map(section)}
${first === undefined ? NOTHING : machineSection(reports)}
</main>`;
  // A number and its quartiles stay together; wide tables scroll.
  return page({ title: `Benchmarks: ${names}`, body, styles: ['td { white-space: nowrap; }'] });
}

function section(report: BenchReport): Markup {
  return html`<h2>bench ${report.bench}</h2>
<p class="small soft">${report.takenAt}</p>
<pre>${report.command}</pre>
<ul class="plain small">${report.method.map((line) => html`<li>${line}</li>\n`)}</ul>
${report.scenarios.map(scenarioCard)}
${report.facts.map(
  ({ name, about, head, rows }) =>
    html`<section class="card"><h3>${name}</h3><p>${about}</p>${cells(head, rows, name)}</section>\n`,
)}`;
}

function scenarioCard(scenario: ScenarioResult): Markup {
  const [head = [], ...rows] = resultRows(scenario);
  const lines = [
    ...scenario.absent.map(({ name, reason }) => `without ${name}: ${reason}`),
    ...scenario.targets.map((target) => targetLine(target, scenario.unit)),
  ];
  return html`<section class="card"><h3>${scenario.name}</h3>
<p>${scenario.about} · rounds: ${String(scenario.rounds)}</p>
${cells(head, rows, scenario.name)}
<ul class="plain small">${lines.map((line) => html`<li>${line}</li>\n`)}</ul></section>
`;
}

function cells(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  label: string,
): Markup {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${label}"><table>
<thead><tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([name = '', ...others]) =>
      html`<tr><th scope="row">${name}</th>${others.map((cell) => html`<td>${cell}</td>`)}</tr>\n`,
  )}</tbody></table></div>`;
}

function machineSection(reports: readonly BenchReport[]): Markup {
  const facts = new Map<string, string>();
  for (const { machine, versions } of reports) {
    facts.set('processor', `${machine.cpus} × ${machine.cpuModel}`);
    facts.set('kernel', machine.kernel);
    facts.set('memory', `${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB`);
    facts.set('Node', machine.node);
    for (const [name, version] of Object.entries(versions)) facts.set(name, version);
  }
  return html`<h2>Machine and versions</h2><dl>${[...facts].map(
    ([name, text]) => html`<dt>${name}</dt><dd>${text}</dd>\n`,
  )}</dl>`;
}
