/** Reports as Markdown, for documents and tickets: tables come from the tool, not from copying. Pure. */
import type { BenchReport } from './bench-report.ts';
import type { Envelope, FactTable } from './envelope.ts';
import { resultRows, type ScenarioResult, targetLine } from './report.ts';

/** The first row is the head. Cells may hold any text. */
export function markdownTable([head = [], ...rows]: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(markdownText).join(' | ')} |`;
  return [line(head), `|${head.map((_, i) => (i === 0 ? '---|' : '--:|')).join('')}`].concat(
    rows.map(line),
  );
}

/** What programs said may hold anything: here it stays one line of plain text. */
export function markdownText(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .replace(/[\\`*_[\]<>|&#~]/g, '\\$&')
    .trim();
}

/** The command, when and where it ran, what took part. */
export function markdownHead(envelope: Omit<Envelope, 'bench' | 'method'>): string[] {
  const { command, takenAt, machine, versions } = envelope;
  // Some versions begin with the program's name; the kernel and Node are the machine's.
  const programs = Object.entries(versions)
    .filter(([name]) => name !== 'kernel' && name !== 'node')
    .map(([name, version]) => (version.startsWith(`${name}/`) ? version : `${name} ${version}`));
  const fence = '`'.repeat(
    1 + Math.max(2, ...[...command.matchAll(/`+/g)].map(([run]) => run.length)),
  );
  const where = [
    takenAt,
    `kernel ${machine.kernel}`,
    `${machine.cpus} × ${machine.cpuModel}`,
    `Node ${machine.node}`,
    ...programs,
  ];
  return [
    `${fence}sh`,
    command.replace(/[\p{Cc}]+/gu, ' '),
    fence,
    '',
    `${markdownText(where.join(', '))}.`,
  ];
}

/** One or several micro benchmarks. Ends with a newline. */
export function benchMarkdown(reports: readonly BenchReport[]): string {
  const lines = reports.flatMap((report) => [
    `### Figures of \`bench ${markdownText(report.bench)}\``,
    '',
    ...markdownHead(report),
    '',
    ...report.method.map((line) => `- ${markdownText(line)}`),
    '',
    ...report.scenarios.flatMap(scenarioLines),
    ...report.facts.flatMap(factLines),
  ]);
  return `${lines.join('\n').trimEnd()}\n`;
}

function scenarioLines(scenario: ScenarioResult): string[] {
  const notes = [
    ...scenario.absent.map(({ name, reason }) => `without ${name}: ${reason}`),
    ...scenario.targets.map((target) => targetLine(target, scenario.unit)),
  ];
  return [
    `**${markdownText(scenario.name)}**: ${markdownText(scenario.about)}; rounds: ${scenario.rounds}.`,
    '',
    ...markdownTable(resultRows(scenario)),
    '',
    ...notes.map((line) => `- ${markdownText(line)}`),
    ...(notes.length === 0 ? [] : ['']),
  ];
}

const factLines = ({ name, about, head, rows }: FactTable): string[] => [
  `**${markdownText(name)}**: ${markdownText(about)}.`,
  '',
  ...markdownTable([head, ...rows]),
  '',
];
