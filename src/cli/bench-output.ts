/** Where the results of benchmarks go: a table for people, JSON for programs, a page. */
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { type BenchReport, benchHtml, benchText } from '../../bench/measure/bench-report.ts';
import { benchMarkdown } from '../../bench/measure/markdown.ts';
import { requireWritable } from './output-files.ts';
import { columns } from './table.ts';

export interface OutputFlags {
  json?: string;
  html?: string;
  markdown?: string;
}

/** Adds `--json`, `--html` and `--markdown`, which are looked at before anything is measured. */
export function outputOptions(command: Command): Command {
  return command
    .option('--json <file>', 'also write the result as JSON; - for standard output')
    .option('--html <file>', 'also write the result as a page')
    .option('--markdown <file>', 'also write the tables as Markdown')
    .hook('preAction', (bench) => checkOutputs(bench.opts<OutputFlags>()));
}

/** @throws ExitError when a file could not be written at the end. */
export function checkOutputs({ json, html, markdown }: OutputFlags): void {
  requireWritable({ '--json': json, '--html': html, '--markdown': markdown });
}

/** One report is written as it is, several as a list. Table and JSON never share a stream. */
export async function publishBench(
  reports: readonly BenchReport[],
  { json, html, markdown }: OutputFlags,
): Promise<void> {
  const text = reports
    .map((report) => benchText(report, (rows, right) => columns(rows, { indent: 2, right })))
    .join('\n');
  (json === '-' ? process.stderr : process.stdout).write(text);
  const data = `${JSON.stringify(reports.length === 1 ? reports[0] : reports, null, 2)}\n`;
  if (json === '-') process.stdout.write(data);
  else if (json !== undefined) await writeFile(json, data);
  if (html !== undefined) await writeFile(html, benchHtml(reports));
  if (markdown !== undefined) await writeFile(markdown, benchMarkdown(reports));
}
