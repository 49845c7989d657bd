/** `holdfast nodes`: the mesh as one node sees it. */
import type { Command } from 'commander';
import { addAdminFlags, adminAddress, askAdmin } from './admin-client.ts';
import { ExitError, exitCodes } from './exit.ts';
import { columns } from './table.ts';

const NODES_TIMEOUT_MS = 5_000;

/** One node of `GET /mesh/nodes`. */
export interface NodeRow {
  readonly id: string;
  readonly pop: string;
  readonly address: string;
  readonly self: boolean;
  readonly state: string;
  readonly draining: boolean;
  readonly incarnation: number;
  readonly boot: string;
  readonly rttMs: number | null;
  readonly loss: number;
  readonly version: string;
  readonly configDigest: string;
  readonly drift: readonly string[];
  readonly tickets: number | null;
}

export interface NodesAnswer {
  readonly self: string;
  readonly nodes: readonly NodeRow[];
}

/** Adds `holdfast nodes`. */
export function registerNodes(program: Command): void {
  const command = program
    .command('nodes')
    .summary('show all nodes of the mesh')
    .description(
      'Shows the mesh as the asked node sees it. Exits 5 when a node is suspect or dead, or runs ' +
        'another configuration or version than most; 4 when no node answers.',
    )
    .option('--json', 'print everything for programs');
  addAdminFlags(command)
    .addHelpText(
      'after',
      `
Examples:
  holdfast nodes
  holdfast nodes --json | jq -r '.nodes[] | select(.drift != []) | .id'`,
    )
    .action(async (options: { json?: boolean }) => {
      const answer = await fetchNodes(command);
      process.stdout.write(
        options.json ? `${JSON.stringify(answer, null, 2)}\n` : nodesText(answer),
      );
      process.exitCode = isDegraded(answer) ? exitCodes.degraded : exitCodes.ok;
    });
}

async function fetchNodes(command: Command): Promise<NodesAnswer> {
  const { status, body } = await askAdmin(
    adminAddress(command),
    'GET',
    '/mesh/nodes',
    NODES_TIMEOUT_MS,
  );
  if (status === 200) return body as NodesAnswer;
  const reason = (body as { error?: string }).error ?? `it answers ${status}`;
  throw new ExitError(exitCodes.unreachable, `the node shows no mesh: ${reason}`);
}

export function isDegraded({ nodes }: NodesAnswer): boolean {
  return nodes.some(
    ({ state, drift }) => state === 'suspect' || state === 'dead' || drift.length > 0,
  );
}

/** A table for people. */
export function nodesText({ nodes }: NodesAnswer): string {
  const rows = nodes.map((node) => [
    node.self ? `${node.id} *` : node.id,
    node.pop,
    node.draining && node.state === 'alive' ? 'draining' : node.state,
    node.address,
    node.rttMs === null ? '-' : node.rttMs.toFixed(1),
    `${(node.loss * 100).toFixed(0)} %`,
    String(node.incarnation),
    node.boot,
    node.tickets === null ? '-' : String(node.tickets),
    node.version,
    node.drift.length === 0 ? '' : `other ${node.drift.join(' and ')}`,
  ]);
  const head = [
    'NODE',
    'POP',
    'STATE',
    'ADDRESS',
    'RTT ms',
    'LOSS',
    'INCARNATION',
    'BOOT',
    'TICKETS',
    'VERSION',
    'DRIFT',
  ];
  return `${columns([head, ...rows], { right: [4, 5, 6, 8] })}\n`;
}
