/** `holdfast bench scale`: what a mesh beyond this machine would cost, by simulation. */
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { benchHtml } from '../../bench/measure/bench-report.ts';
import { BenchError } from '../../bench/measure/errors.ts';
import { benchMarkdown } from '../../bench/measure/markdown.ts';
import { ConsoleProgress } from '../../bench/measure/progress.ts';
import { scaleForm, scaleText } from '../../bench/scale/report.ts';
import { runScale, SCALE_DEFAULTS, SCALE_STEPS } from '../../bench/scale/run.ts';
import { version } from '../version.ts';
import { benchCommand, typedCommand } from './bench-command.ts';
import { type OutputFlags, outputOptions } from './bench-output.ts';
import { ExitError, exitCodes } from './exit.ts';
import { columns } from './table.ts';

interface ScaleFlags extends OutputFlags {
  nodes: string;
  flows: string;
  life: string;
  loss: string;
  fibreFactor: string;
  seed: string;
}

/** Adds `holdfast bench scale`. */
export function registerBenchScale(program: Command): void {
  const { nodes, flows, lifeS, loss, fibreFactor, seed } = SCALE_DEFAULTS;
  const command = benchCommand(program)
    .command('scale')
    .description('a mesh of hundreds of nodes and millions of flows, simulated')
    .option('--nodes <n>', 'nodes of the mesh, 10 to 500', String(nodes))
    .option('--flows <n>', 'live flows of all nodes together', String(flows))
    .option('--life <seconds>', 'mean life of a flow', String(lifeS))
    .option('--loss <share>', 'share of the mesh’s datagrams lost', String(loss))
    .option('--fibre-factor <n>', 'length of ways over the line of sight', String(fibreFactor))
    .option('--seed <n>', 'seed of everything that is drawn', String(seed));
  outputOptions(command).action(scale);
}

async function scale(flags: ScaleFlags): Promise<void> {
  const options = {
    nodes: Number(flags.nodes),
    flows: Number(flags.flows),
    lifeS: Number(flags.life),
    loss: Number(flags.loss),
    fibreFactor: Number(flags.fibreFactor),
    seed: Number(flags.seed),
  };
  const progress = new ConsoleProgress(SCALE_STEPS);
  try {
    const versions = { holdfast: version() };
    const report = await runScale(options, typedCommand(), versions, progress);
    progress.close();
    const text = `${JSON.stringify(report, null, 2)}\n`;
    const table = scaleText(report, (rows, right) => columns(rows, { indent: 2, right }));
    (flags.json === '-' ? process.stderr : process.stdout).write(table);
    if (flags.json === '-') process.stdout.write(text);
    else if (flags.json !== undefined) await writeFile(flags.json, text);
    const form = [scaleForm(report)];
    if (flags.html !== undefined) await writeFile(flags.html, benchHtml(form));
    if (flags.markdown !== undefined) await writeFile(flags.markdown, benchMarkdown(form));
  } catch (error) {
    progress.close();
    if (error instanceof BenchError && error.code === 'ERR_BENCH_USAGE') {
      throw new ExitError(exitCodes.usage, error.message);
    }
    throw error;
  }
}
