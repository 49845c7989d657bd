import type { TrialResult } from '../../src/sync/sim/trial.ts';
import { type CampaignOptions, type CampaignResult, runCampaign } from './campaign.ts';

/** The one command that runs a failed world again. */
export function replayCommand(options: CampaignOptions, seed: number): string {
  const loss = options.loss === undefined ? '' : ` --loss ${options.loss}`;
  const tickets = options.tickets ? '' : ' --no-tickets';
  return `npm run sim -- --nodes ${options.nodes} --seeds 1 --seed ${seed}${loss}${tickets}`;
}

/** What people read about one failed world. */
export function failureText(options: CampaignOptions, result: TrialResult): string {
  const lines = result.failures.map((failure) => `  ${failure}`);
  return [
    `seed ${result.seed} failed (faults: ${result.faults.join(', ')})`,
    ...lines,
    `  again: ${replayCommand(options, result.seed)}`,
  ].join('\n');
}

/** What programs read: the last line of the output. */
export function summaryLine(result: CampaignResult): string {
  const { failures: _failures, ...summary } = result;
  return JSON.stringify({ ok: result.failed.length === 0, ...summary });
}

/**
 * Runs worlds, shows progress on a terminal, prints failures and the closing line of JSON.
 * @returns true when every invariant held in every world.
 * @throws RangeError for numbers that make no world.
 */
export async function runSim(options: CampaignOptions): Promise<boolean> {
  checkNumbers(options);
  const isTerminal = process.stderr.isTTY === true;
  const result = await runCampaign({
    ...options,
    progress: (done, failed) => {
      if (!isTerminal) return;
      process.stderr.write(`\r${done}/${options.seeds} worlds, ${failed} failed `);
      if (done === options.seeds) process.stderr.write('\n');
    },
  });
  for (const failure of result.failures) console.log(failureText(options, failure));
  console.log(summaryLine(result));
  return result.failed.length === 0;
}

function checkNumbers({ nodes, seeds, seed, loss }: CampaignOptions): void {
  if (!Number.isInteger(nodes) || nodes < 2 || nodes > 500) {
    throw new RangeError('--nodes must be a whole number from 2 to 500');
  }
  if (!Number.isInteger(seeds) || seeds < 1 || seeds > 1_000_000) {
    throw new RangeError('--seeds must be a whole number from 1 to 1,000,000');
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError('--seed must be a whole number, not negative');
  }
  if (loss !== undefined && !(loss >= 0 && loss <= 0.5)) {
    throw new RangeError('--loss must be a share from 0 to 0.5');
  }
}
