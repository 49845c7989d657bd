/** `holdfast announce`: what a node announces and why, and an operator's word against it. */
import { type Command, Option } from 'commander';
import type { AgentAnnounceStatus } from '../agent/agent-announce.ts';
import { runExabgpProgram } from '../announce/exabgp-program.ts';
import { addAdminFlags, adminAddress, askAdmin } from './admin-client.ts';
import { ExitError, exitCodes } from './exit.ts';
import { columns, durationText, sessionsText } from './table.ts';

const ANNOUNCE_TIMEOUT_MS = 6_000;
const DEFAULT_SOCKET = '/run/holdfast/exabgp.sock';

export function registerAnnounce(program: Command): void {
  const command = program
    .command('announce')
    .summary('show or hold what the node announces')
    .description(
      'Shows what the node announces, why, and what the routing says. With "off" the node withdraws, ' +
        'with "on" it announces whatever its health says, with "auto" health decides again. That word ' +
        'is kept across restarts and reboots. Exits 5 when the node announces less than "up" or the ' +
        'routing does not follow, 4 when no node answers.',
    )
    .argument('[hold]', 'off, on or auto')
    .option('--json', 'print everything for programs');
  addAdminFlags(command)
    .addHelpText(
      'after',
      `
Examples:
  holdfast announce
  holdfast announce off
  holdfast announce --json | jq -r .routing.problem`,
    )
    .action(async (hold: string | undefined, options: { json?: boolean }) => {
      if (hold !== undefined && !['off', 'on', 'auto'].includes(hold)) {
        throw new ExitError(exitCodes.usage, `"${hold}" is none of off, on, auto`);
      }
      const status =
        hold === undefined
          ? await askAnnounce(command, 'GET', '/announce')
          : await askAnnounce(command, 'POST', '/announce/hold', { hold });
      process.stdout.write(
        options.json ? `${JSON.stringify(status, null, 2)}\n` : announceText(status),
      );
      process.exitCode = isAsWanted(status) ? exitCodes.ok : exitCodes.degraded;
    });
  command
    .command('exabgp')
    .summary('the program that ExaBGP runs')
    .description(
      'Passes the agent’s orders on to ExaBGP by standard output. Not for people: put it into the ' +
        'configuration of ExaBGP. It withdraws by itself when the agent gives no orders any more.',
    )
    .addOption(
      new Option('-s, --socket <path>', 'socket of the agent (announce.exabgp.socket)').default(
        DEFAULT_SOCKET,
      ),
    )
    .addOption(
      new Option('--patience <seconds>', 'time for the agent to give its first order')
        .default(15)
        .argParser(Number),
    )
    .action(async ({ socket, patience }: { socket: string; patience: number }) => {
      if (!(patience > 0 && patience <= 3_600)) {
        throw new ExitError(exitCodes.usage, '--patience must be 1 to 3600 seconds');
      }
      // ExaBGP's end of the pipe says when it is over; a terminal's signals are for ExaBGP.
      process.on('SIGINT', () => undefined);
      await runExabgpProgram(socket, patience * 1_000);
      process.exit(exitCodes.ok);
    });
}

/** Asks an agent about its announcement. Throws {@link ExitError}. */
export async function askAnnounce(
  command: Command,
  method: 'GET' | 'POST',
  path: string,
  said?: object,
): Promise<AgentAnnounceStatus> {
  const text = said === undefined ? '' : JSON.stringify(said);
  const reply = await askAdmin(adminAddress(command), method, path, ANNOUNCE_TIMEOUT_MS, text);
  if (reply.status === 200) return reply.body as AgentAnnounceStatus;
  const reason = (reply.body as { error?: string }).error ?? `it answers ${reply.status}`;
  throw new ExitError(
    reply.status === 503 ? exitCodes.unreachable : exitCodes.runtime,
    method === 'GET' ? reason : `nothing was changed: ${reason}`,
  );
}

/** Whether nothing needs looking after: what an operator wanted is as good as up. */
function isAsWanted({ state, hold, drain, routing }: AgentAnnounceStatus): boolean {
  const meant = state === 'up' || hold === 'off' || drain !== null;
  return meant && routing.ok;
}

/** For people. */
export function announceText(status: AgentAnnounceStatus): string {
  const { state, reasons, hold, holdAt, routing, nodes, sinceMs, drain } = status;
  const [first = '', ...rest] = routing.problem.split('\n');
  const head = columns([
    ['announced', `${state}, for ${durationText(sinceMs)}`],
    ...reasons.map((reason, i) => [i === 0 ? 'because' : '', reason]),
    ['hold', hold === 'auto' ? 'auto' : `${hold}, since ${holdAt}`],
    ...(drain === null ? [] : [['drain', `${drain.phase}, ${sessionsText(drain.sessions)} left`]]),
    ['routing', `${routing.driver}, ${routing.ok ? 'follows' : 'does not follow'}`],
    ...(first === '' ? [] : [['problem', first]]),
  ]);
  const others = columns([
    ['NODE', 'ANNOUNCES', 'BY ITS HEALTH'],
    ...nodes.map((each) => [each.node, each.state, each.offers]),
  ]);
  const found = routing.found.map((line) => `  ${line}`);
  return `${[head, ...rest.map((line) => `  ${line}`), ...found, '', others].join('\n')}\n`;
}
