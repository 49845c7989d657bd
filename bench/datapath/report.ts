/** The result of the datapath's benchmark, as data and as text. A core without IO. */
import type { Machine } from '../measure/machine.ts';
import { resultRows, type ScenarioResult, targetLine } from '../measure/report.ts';

export interface DatapathReport {
  readonly bench: 'datapath';
  /** ISO 8601. */
  readonly takenAt: string;
  readonly machine: Machine;
  /** How it was measured, in sentences. */
  readonly method: readonly string[];
  readonly scenarios: readonly ScenarioResult[];
}

/** `columns` lays out rows of cells. */
export function reportText(
  report: DatapathReport,
  columns: (rows: readonly (readonly string[])[], right: readonly number[]) => string,
): string {
  const { machine } = report;
  const lines = [
    `Kernel ${machine.kernel}, ${machine.cpus} × ${machine.cpuModel}, Node ${machine.node}`,
    ...report.method,
  ];
  for (const scenario of report.scenarios) {
    const rows = resultRows(scenario);
    const right = (rows[0] ?? []).map((_, i) => i).slice(1);
    lines.push('', `${scenario.name} · ${scenario.about} · rounds: ${scenario.rounds}`);
    lines.push(columns(rows, right));
    for (const target of scenario.targets) lines.push(`  ${targetLine(target, scenario.unit)}`);
  }
  return `${lines.join('\n')}\n`;
}
