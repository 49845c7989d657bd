/** `holdfast sim`: the mesh in simulated worlds with faults. */
import type { Command } from 'commander';
import { runSim } from '../../bench/sim/report.ts';
import { ExitError, exitCodes } from './exit.ts';

interface SimFlags {
  nodes: string;
  seeds: string;
  seed: string;
  loss?: string;
  tickets: boolean;
}

/** Adds `holdfast sim`. */
export function registerSim(program: Command): void {
  program
    .command('sim')
    .description('run the mesh in simulated worlds full of faults and check its invariants')
    .option('--nodes <n>', 'nodes of each world, 2 to 500', '20')
    .option('--seeds <n>', 'how many worlds', '100')
    .option('--seed <n>', 'seed of the first world', '1')
    .option(
      '--loss <share>',
      'share of datagrams lost, 0 to 0.5; by default each world has its own',
    )
    .option('--no-tickets', 'membership only')
    .action(async (flags: SimFlags) => {
      try {
        const isGood = await runSim({
          nodes: Number(flags.nodes),
          seeds: Number(flags.seeds),
          seed: Number(flags.seed),
          loss: flags.loss === undefined ? undefined : Number(flags.loss),
          tickets: flags.tickets,
        });
        if (!isGood) process.exitCode = exitCodes.runtime;
      } catch (error) {
        if (error instanceof RangeError) throw new ExitError(exitCodes.usage, error.message);
        throw error;
      }
    });
}
