/** Where the results of benchmarks go: a table for people, JSON for programs, a page. */
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { type BenchReport, benchHtml, benchText } from '../../bench/measure/bench-report.ts';
import { columns } from './table.ts';

export interface OutputFlags {
  json?: string;
  html?: string;
}

/** Adds `--json` and `--html`. */
export function outputOptions(command: Command): Command {
  return command
    .option('--json <file>', 'also write the result as JSON; - for standard output')
    .option('--html <file>', 'also write the result as a page');
}

/** One report is written as it is, several as a list. Table and JSON never share a stream. */
export async function publishBench(
  reports: readonly BenchReport[],
  { json, html }: OutputFlags,
): Promise<void> {
  const text = reports
    .map((report) => benchText(report, (rows, right) => columns(rows, { indent: 2, right })))
    .join('\n');
  (json === '-' ? process.stderr : process.stdout).write(text);
  const data = `${JSON.stringify(reports.length === 1 ? reports[0] : reports, null, 2)}\n`;
  if (json === '-') process.stdout.write(data);
  else if (json !== undefined) await writeFile(json, data);
  if (html !== undefined) await writeFile(html, benchHtml(reports));
}
