/** The result of the edge benchmark, as data and as text. A core without IO. */
import type { Machine } from '../measure/machine.ts';
import { resultRows, type ScenarioResult, targetLine } from '../measure/report.ts';

export interface EdgeReport {
  readonly bench: 'edge';
  /** ISO 8601. */
  readonly takenAt: string;
  readonly machine: Machine;
  /** How it was measured, in sentences. */
  readonly method: readonly string[];
  readonly contenders: readonly {
    readonly name: string;
    readonly version: string;
    readonly accessLog: boolean;
  }[];
  readonly scenarios: readonly ScenarioResult[];
}

/** `columns` lays out rows of cells. */
export function reportText(
  report: EdgeReport,
  columns: (rows: readonly (readonly string[])[], right: readonly number[]) => string,
): string {
  const { machine } = report;
  const lines = [
    `Kernel ${machine.kernel}, ${machine.cpus} × ${machine.cpuModel}, Node ${machine.node}`,
    ...report.contenders.map(
      ({ name, version, accessLog }) =>
        `  ${name} ${version}${accessLog ? ', access log to a file' : ', no access log'}`,
    ),
    ...report.method,
  ];
  for (const scenario of report.scenarios) {
    const rows = resultRows(scenario);
    const right = (rows[0] ?? []).map((_, i) => i).slice(1);
    lines.push('', `${scenario.name} · ${scenario.about} · ${scenario.rounds} rounds`);
    lines.push(columns(rows, right));
    for (const { name, reason } of scenario.absent) lines.push(`  without ${name}: ${reason}`);
    for (const target of scenario.targets) lines.push(`  ${targetLine(target, scenario.unit)}`);
  }
  return `${lines.join('\n')}\n`;
}
