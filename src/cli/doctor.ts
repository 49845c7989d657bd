/** `holdfast doctor`: what healing needs of this machine, and what is missing. */
import type { Command } from 'commander';
import { loadAgentConfig } from '../agent/agent-node.ts';
import { agentSettings } from '../agent/settings.ts';
import { announceDoctor } from '../announce/announce-doctor.ts';
import { type Check, doctor } from '../datapath/doctor.ts';
import { version } from '../version.ts';
import { fileOf } from './agent.ts';
import { checkTable } from './check-table.ts';
import { configOption } from './config-flags.ts';
import { exitCodes } from './exit.ts';

export function registerDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .summary('what healing needs of this machine, and what is missing')
    .description(
      'Looks at kernel, capabilities, devices, addresses, MTU, listeners and the BGP daemon without changing ' +
        'anything, and says how to mend what is missing. Exits 0 when all is well, 5 when only ' +
        'something that can come later is missing, 1 when healing could not start.',
    )
    .addOption(configOption())
    .option('--json', 'print everything for programs')
    .action(async (flags: { json?: boolean }) => {
      const { config } = loadAgentConfig(fileOf(command));
      const { datapath } = agentSettings(config, version());
      const vips = [...new Set(datapath.vips.map(({ address }) => address))];
      const announcing =
        config.announce === undefined ? [] : await announceDoctor(config.announce, vips);
      const checks = [...doctor(datapath), ...announcing];
      process.stdout.write(
        flags.json ? `${JSON.stringify({ checks }, null, 2)}\n` : checkTable(checks),
      );
      process.exitCode = exitCodeOf(checks);
    });
}

function exitCodeOf(checks: readonly Check[]): number {
  if (checks.some(({ ok, required }) => !ok && required)) return exitCodes.runtime;
  return checks.every(({ ok }) => ok) ? exitCodes.ok : exitCodes.degraded;
}
