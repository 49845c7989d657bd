/** `holdfast drain` and `holdfast resume`: out of service without breaking sessions, and back. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { AgentAnnounceStatus } from '../agent/agent-announce.ts';
import { addAdminFlags } from './admin-client.ts';
import { announceText, askAnnounce } from './announce.ts';
import { ExitError, exitCodes } from './exit.ts';
import { durationText, sessionsText } from './table.ts';

const LOOK_MS = 1_000;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

export function registerDrain(program: Command): void {
  const command = program
    .command('drain')
    .summary('take the node out of service, sessions go on')
    .description(
      'Tells the other nodes, announces the addresses worse (GRACEFUL_SHUTDOWN), waits until the ' +
        'world has heard it, withdraws them, and lets sessions end by themselves while the other ' +
        'nodes bring their packets. When the time is over, the edge beside the agent closes what is ' +
        'left; of other servers nothing is touched. The process goes on; "holdfast resume" undoes ' +
        'it at any moment, and a reboot does. With --wait it exits 0 when the node is drained, 5 ' +
        'when somebody resumed it.',
    )
    .option(
      '--for <time>',
      'until sessions are asked to end, e.g. 90s, 5m (default: as configured)',
    )
    .option('--wait', 'show progress until the node is drained')
    .option('--json', 'print everything for programs');
  addAdminFlags(command)
    .addHelpText(
      'after',
      `
Examples:
  holdfast drain --wait && systemctl reboot
  holdfast drain --for 10m
  holdfast resume`,
    )
    .action(async (options: { for?: string; wait?: boolean; json?: boolean }) => {
      const said = options.for === undefined ? {} : { forMs: timeMs(options.for) };
      const { drain } = await askAnnounce(command, 'GET', '/announce');
      if (drain !== null) {
        const since = durationText(drain.elapsedMs);
        process.stderr.write(`a drain was begun ${since} ago: times count from there\n`);
      }
      const status = await askAnnounce(command, 'POST', '/announce/drain', said);
      if (status.othersWell === 0) {
        process.stderr.write('warning: no other node is well: clients lose their service\n');
      }
      const end = options.wait ? await follow(command, status) : status;
      if (options.json) process.stdout.write(`${JSON.stringify(end, null, 2)}\n`);
      else if (!options.wait) process.stdout.write(announceText(end));
      process.exitCode = end.drain === null ? exitCodes.degraded : exitCodes.ok;
    });
}

export function registerResume(program: Command): void {
  const command = program
    .command('resume')
    .summary('undo a drain')
    .description('Puts the node back into service: its health decides what is announced.')
    .option('--json', 'print everything for programs');
  addAdminFlags(command).action(async (options: { json?: boolean }) => {
    const { drain } = await askAnnounce(command, 'GET', '/announce');
    if (drain === null) process.stderr.write('no drain was under way: nothing to undo\n');
    const status = await askAnnounce(command, 'POST', '/announce/resume', {});
    process.stdout.write(
      options.json ? `${JSON.stringify(status, null, 2)}\n` : announceText(status),
    );
  });
}

/** One line a second on a terminal, one per phase elsewhere, until the drain is over. */
async function follow(command: Command, begun: AgentAnnounceStatus): Promise<AgentAnnounceStatus> {
  const live = process.stderr.isTTY;
  let status = begun;
  let phase = '';
  for (;;) {
    const { drain } = status;
    const line = progressText(status);
    if (live) process.stderr.write(`\r\u001b[K${line}`);
    else if (drain?.phase !== phase) process.stderr.write(`${line}\n`);
    phase = drain?.phase ?? '';
    if (drain === null || drain.phase === 'drained') break;
    await sleep(LOOK_MS);
    status = await askAnnounce(command, 'GET', '/announce');
  }
  if (live) process.stderr.write('\n');
  return status;
}

/** Progress of a drain in one line. */
export function progressText({ drain, state, routing }: AgentAnnounceStatus): string {
  if (drain === null) return 'resumed: the node is in service';
  const { phase, elapsedMs, withdrawInMs, deadlineInMs, sessions, sessionsAtStart, healed } = drain;
  const route = routing.ok ? state : `${state}, but the routing does not follow`;
  const next =
    phase === 'converging'
      ? `, withdrawn in ${durationText(withdrawInMs)}`
      : phase === 'waiting'
        ? `, closed in ${durationText(deadlineInMs)}`
        : '';
  // While it converges, new ones come still.
  return `${phase} for ${durationText(elapsedMs)}: route ${route}${next}; ${sessionsText(sessions)} left, ${sessionsAtStart} at the start; ${healed} packets healed`;
}

function timeMs(text: string): number {
  const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text);
  const ms = match === null ? Number.NaN : Number(match[1]) * (UNITS[match[2] ?? ''] ?? Number.NaN);
  if (!(ms <= 86_400_000)) {
    throw new ExitError(exitCodes.usage, `"${text}" is no time up to a day: write 90s, 5m or 1h`);
  }
  return ms;
}
