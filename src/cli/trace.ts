/** `holdfast trace`: who owns a flow, and what every node would do with its next packet. */
import type { Command } from 'commander';
import type { FlowReport } from '../agent/agent-status.ts';
import type { NodeTrace } from '../agent/trace-message.ts';
import { AddressError, formatHostPort, parseHostPort } from '../config/address.ts';
import { addAdminFlags, adminAddress, askAdmin } from './admin-client.ts';
import { ExitError, exitCodes } from './exit.ts';
import { columns } from './table.ts';

const TRACE_TIMEOUT_MS = 5_000;

export function registerTrace(program: Command): void {
  const command = program
    .command('trace')
    .summary('who owns a client’s flow, and where its next packet would go')
    .description(
      'Asks every node what it would do with the next packet of a flow. Nothing is sent to the ' +
        'client and nothing is changed. Exits 5 when no node has a socket for the flow, 4 when no ' +
        'agent answers.',
    )
    .argument('<client>', 'address and port of the client, 203.0.113.7:51000')
    .option('--vip <address>', 'of several VIPs, this one: 192.0.2.10:443')
    .option('--json', 'print everything for programs');
  addAdminFlags(command)
    .addHelpText(
      'after',
      `
Examples:
  holdfast trace 203.0.113.7:51000
  holdfast trace '[2001:db8:c::2]:51000' --vip '[2001:db8::10]:443' --json`,
    )
    .action(async (client: string, flags: { vip?: string; json?: boolean }) => {
      const flows = await fetchFlows(command, client, flags.vip);
      process.stdout.write(
        flags.json ? `${JSON.stringify({ flows }, null, 2)}\n` : traceText(flows),
      );
      process.exitCode = flows.some(({ owner }) => owner !== null)
        ? exitCodes.ok
        : exitCodes.degraded;
    });
}

async function fetchFlows(
  command: Command,
  client: string,
  vip: string | undefined,
): Promise<readonly FlowReport[]> {
  const query = new URLSearchParams({ client: checked(client) });
  if (vip !== undefined) query.set('vip', checked(vip));
  const path = `/trace?${query}`;
  const { status, body } = await askAdmin(adminAddress(command), 'GET', path, TRACE_TIMEOUT_MS);
  if (status === 200) return (body as { flows: FlowReport[] }).flows;
  const reason = (body as { error?: string }).error ?? `it answers ${status}`;
  throw new ExitError(
    status === 400 ? exitCodes.usage : exitCodes.unreachable,
    `the node traces no flow: ${reason}`,
  );
}

function checked(text: string): string {
  try {
    return formatHostPort(parseHostPort(text));
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    throw new ExitError(exitCodes.usage, error.message);
  }
}

/** The flows as tables for people. Those that nobody knows are left out when others are known. */
export function traceText(flows: readonly FlowReport[]): string {
  const known = flows.filter(({ owner }) => owner !== null);
  return `${(known.length > 0 ? known : flows).map(flowText).join('\n\n')}\n`;
}

function flowText(flow: FlowReport): string {
  const owner =
    flow.owner === null
      ? 'no node has a socket for it'
      : `${flow.owner}, boot ${(flow.ownerBoot ?? 0).toString(16).padStart(8, '0')}`;
  const head = columns([
    ['flow', `${flow.client} → ${flow.vip}`],
    ['owner', owner],
    ['homes', `${flow.homes.join(', ') || 'none'} (bucket ${flow.bucket})`],
  ]);
  const rows = flow.nodes.map((node) => [node.node, nextPacketText(node), ticketText(node)]);
  const table = columns([['NODE', 'NEXT PACKET', 'TICKET'], ...rows]);
  const silent = flow.silent.length === 0 ? '' : `\nno answer from ${flow.silent.join(', ')}`;
  return `${head}\n\n${table}${silent}`;
}

/** What the node would do, and why. */
export function nextPacketText({ who, how, to, socket, missingMs }: NodeTrace): string {
  switch (who) {
    case 'here':
      return how === 'socket' || how === 'weak'
        ? `stays here: socket ${socket ?? ''}`.trimEnd()
        : `stays here: ${how}`;
    case 'there':
      return `relayed to ${to ?? '?'} by its ticket`;
    case 'ask':
      return `sent to ${to ?? '?'}, home of the flow`;
    case 'lost':
      return 'reset: its owner is gone';
    case 'unknown':
      return missingMs === null
        ? 'held back while the other nodes are asked'
        : `unknown for ${missingMs} ms`;
    default:
      return who;
  }
}

function ticketText({ owner, source, own, halfOpen }: NodeTrace): string {
  if (own) return 'its own';
  if (halfOpen) return 'its own, handshake under way';
  return owner === null ? 'none' : `${owner} (${source ?? '?'})`;
}
