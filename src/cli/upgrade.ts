/** `holdfast upgrade`: lets a new release take over from the running one. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Upgraded } from '../node.ts';
import { addAdminFlags, adminAddress, askAdmin } from './admin-client.ts';
import { ExitError, exitCodes } from './exit.ts';

/** Longer than any `upgrade.readyMs` that somebody waits for at a terminal. */
const UPGRADE_TIMEOUT_MS = 3_660_000;

export function registerUpgrade(program: Command): void {
  const command = program
    .command('upgrade')
    .summary('let a new release take over, without a client noticing')
    .description(
      'Starts the new release beside the running one. It takes over the listening sockets; the ' +
        'workers of the old one finish what they have, however long that takes (upgrade.deadlineMs). ' +
        'A release that cannot start is ended, and the old one goes on. So is the signal USR2, for ' +
        'the release that is now in the place of the running one.',
    )
    .option(
      '--to <file>',
      'bin/holdfast.js of the new release (default: what is now in the place of the running one)',
    )
    .option('--json', 'print the answer for programs');
  addAdminFlags(command)
    .addHelpText(
      'after',
      `
Examples:
  holdfast upgrade
  holdfast upgrade --to /opt/holdfast-0.2.0/bin/holdfast.js`,
    )
    .action(async (options: { to?: string; json?: boolean }) => {
      // The node has another working directory.
      const body = options.to === undefined ? '' : JSON.stringify({ file: resolve(options.to) });
      const address = adminAddress(command);
      const reply = await askAdmin(address, 'POST', '/upgrade', UPGRADE_TIMEOUT_MS, body);
      if (options.json) process.stdout.write(`${JSON.stringify(reply.body, null, 2)}\n`);
      if (reply.status !== 200) {
        const { error = `the node answers ${reply.status}` } = reply.body as { error?: string };
        throw new ExitError(
          reply.status === 422 ? exitCodes.usage : exitCodes.runtime,
          `nothing was changed: ${error}`,
        );
      }
      if (!options.json) process.stdout.write(upgradedText(reply.body as Upgraded));
    });
}

function upgradedText({ from, to, pid }: Upgraded): string {
  const change = from === to ? `${to}, started anew` : `${from} to ${to}`;
  return `upgraded: ${change}, pid ${pid}; "holdfast status" shows what the old release still has\n`;
}
