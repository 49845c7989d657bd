/** `holdfast reload`: makes a running node read its configuration again. */
import type { Command } from 'commander';
import type { Change } from '../config/difference.ts';
import { ConfigError, type ConfigProblem, formatProblem } from '../config/problem.ts';
import { addAdminFlags, adminAddress, askAdmin } from './admin-client.ts';
import { ExitError, exitCodes, reportFailure } from './exit.ts';

/** A reload waits for every worker. */
const RELOAD_TIMEOUT_MS = 90_000;

interface ReloadBody {
  readonly changes?: readonly Change[];
  readonly warnings?: readonly ConfigProblem[];
  readonly problems?: readonly ConfigProblem[];
  readonly error?: string;
}

export function registerReload(program: Command): void {
  const command = program
    .command('reload')
    .summary('make a running node read its configuration again')
    .description(
      'Makes a running node read its configuration again, as the signal HUP does, and prints what ' +
        'changed. Streams on routes that did not change go on. An invalid file is refused with its ' +
        'errors and exit code 3; the node then goes on as before.',
    )
    .option('--json', 'print the answer for programs');
  addAdminFlags(command)
    .addHelpText(
      'after',
      `
Examples:
  holdfast reload
  holdfast reload --admin 127.0.0.1:2020
  holdfast reload --config /etc/holdfast/holdfast.yaml   # to find the admin address there`,
    )
    .action(async (options: { json?: boolean }) => {
      const address = adminAddress(command);
      const reply = await askAdmin(address, 'POST', '/reload', RELOAD_TIMEOUT_MS);
      const body = reply.body as ReloadBody;
      if (options.json) process.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
      process.exitCode = outcome(body, options.json === true);
    });
}

function outcome(body: ReloadBody, quiet: boolean): number {
  if (body.problems !== undefined) {
    return quiet ? exitCodes.config : reportFailure(new ConfigError(body.problems));
  }
  if (body.changes === undefined) {
    throw new ExitError(
      exitCodes.runtime,
      `nothing was changed: ${body.error ?? 'no reason given'}`,
    );
  }
  if (!quiet) {
    for (const warning of body.warnings ?? []) {
      process.stderr.write(`warning: ${formatProblem(warning)}\n`);
    }
    process.stdout.write(`${changesText(body.changes)}\n`);
  }
  return exitCodes.ok;
}

function changesText(changes: readonly Change[]): string {
  if (changes.length === 0) return 'reloaded, nothing changed';
  const lines = changes.map(({ kind, what, restart }) => {
    const note = restart ? ' (takes effect when the node is started again)' : '';
    return `  ${kind.padEnd(7)}  ${what}${note}`;
  });
  return ['reloaded', ...lines].join('\n');
}
