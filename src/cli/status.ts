/** `holdfast status`: what a running node does. */
import type { Command } from 'commander';
import type { AgentStatus } from '../agent/agent-status.ts';
import type { HostPort } from '../config/address.ts';
import type { NodeStatus } from '../node.ts';
import { addAdminFlags, adminAddress, askAdmin } from './admin-client.ts';
import { agentText } from './agent-text.ts';
import { ExitError, exitCodes } from './exit.ts';
import { columns, durationText } from './table.ts';

const STATUS_TIMEOUT_MS = 5_000;
const WATCH_INTERVAL_MS = 1_000;
/** Moves to the top left and clears what is below. */
const HOME_AND_CLEAR = '\u001b[H\u001b[J';

export function registerStatus(program: Command): void {
  const command = program
    .command('status')
    .summary('show what a running node does')
    .description(
      'Shows listeners, workers, sites and origins of a running node. Exits 5 when something is ' +
        'degraded (an origin unhealthy, a worker restarting, a node dead), 4 when no node answers. ' +
        'Of an agent it shows the mesh and the flows that it switched last.',
    )
    .option('--json', 'print everything for programs')
    .option('--watch', 'show anew every second, until Ctrl-C');
  addAdminFlags(command)
    .addHelpText(
      'after',
      `
Examples:
  holdfast status
  holdfast status --watch
  holdfast status --json | jq '.workers[].pid'`,
    )
    .action(async (options: { json?: boolean; watch?: boolean }) => {
      const address = adminAddress(command);
      const print = options.json ? jsonText : reportText;
      if (options.watch) {
        await watch(address, print);
        return;
      }
      const status = await fetchStatus(address);
      process.stdout.write(print(status));
      process.exitCode = isDegraded(status) ? exitCodes.degraded : exitCodes.ok;
    });
}

/** What a node says of itself: an edge, an agent, or both. */
type Report = Partial<NodeStatus> & { readonly agent?: AgentStatus | null };

async function fetchStatus(address: HostPort): Promise<Report> {
  const { status, body } = await askAdmin(address, 'GET', '/status', STATUS_TIMEOUT_MS);
  if (status === 200) return body as Report;
  const reason = (body as { error?: string }).error ?? `it answers ${status}`;
  throw new ExitError(exitCodes.unreachable, `the node gives no status: ${reason}`);
}

function isDegraded({ agent, ...edge }: Report): boolean {
  const bad = ({ state, degraded }: { state: string; degraded: readonly string[] }) =>
    state !== 'running' || degraded.length > 0;
  return (isEdge(edge) && bad(edge)) || (agent != null && bad(agent)) || agent === null;
}

function isEdge(status: Partial<NodeStatus>): status is NodeStatus {
  return status.workers !== undefined;
}

async function watch(address: HostPort, print: (status: Report) => string): Promise<never> {
  const clear = process.stdout.isTTY ? HOME_AND_CLEAR : '';
  for (;;) {
    const text = await fetchStatus(address).then(print, (error: Error) => `${error.message}\n`);
    process.stdout.write(clear + text);
    await new Promise((resolve) => setTimeout(resolve, WATCH_INTERVAL_MS));
  }
}

function jsonText(status: Report): string {
  return `${JSON.stringify(status, null, 2)}\n`;
}

/** Everything that the node said, for people. */
function reportText({ agent, ...edge }: Report): string {
  const parts = isEdge(edge) ? [statusText(edge)] : [];
  if (agent === null)
    parts.push('agent  not running: sessions of before go on, new ones are not healed\n');
  else if (agent !== undefined) parts.push(`${agentText(agent, parts.length === 0)}\n`);
  return parts.join('\n');
}

/** The status as tables for people. */
export function statusText(status: NodeStatus): string {
  const { config } = status;
  const head = columns([
    ['node', `${status.node} (PoP ${status.pop})`],
    ['state', `${status.state}, up ${durationText(status.uptimeMs)}`],
    ['version', `${status.version}, pid ${status.pid}`],
    ['config', `${config.file ?? 'flags only'}, loaded ${config.loadedAt}`],
    ...(config.refused ?? '')
      .split('\n')
      .filter((line) => line !== '')
      .map((line, i) => [i === 0 ? 'refused' : '', line]),
    ['listening', status.listeners.join(' ')],
    [
      'now',
      `${status.connections} connections, ${status.requestsInFlight} requests, ${status.tunnels} WebSockets`,
    ],
  ]);
  const degraded = status.degraded.map((reason) => `degraded: ${reason}`);
  const older = status.older.length === 0 ? [] : ['', olderText(status)];
  const parts = [head, ...degraded, '', workersText(status), ...older, '', originsText(status)];
  return `${parts.join('\n')}\n`;
}

/** Releases that were replaced and finish what they have. */
function olderText({ older }: NodeStatus): string {
  const rows = older.map((release) => [
    release.version,
    String(release.pid),
    release.replacedAt,
    String(release.workers),
    String(release.connections),
    String(release.requestsInFlight),
    String(release.tunnels),
  ]);
  const head = ['OLDER', 'PID', 'REPLACED', 'WORKERS', 'CONNECTIONS', 'REQUESTS', 'WEBSOCKETS'];
  return columns([head, ...rows], { right: [1, 3, 4, 5, 6] });
}

function workersText({ workers }: NodeStatus): string {
  const rows = workers.map((worker) => [
    String(worker.slot),
    worker.pid === null ? '-' : String(worker.pid),
    worker.state,
    durationText(worker.uptimeMs),
    String(worker.crashes),
    String(worker.connections),
    String(worker.requestsInFlight),
    String(worker.tunnels),
  ]);
  const head = ['WORKER', 'PID', 'STATE', 'UP', 'CRASHES', 'CONNECTIONS', 'REQUESTS', 'WEBSOCKETS'];
  return columns([head, ...rows], { right: [1, 4, 5, 6, 7] });
}

function originsText({ sites }: NodeStatus): string {
  const rows = sites.flatMap(({ host, routes }) =>
    routes.flatMap(({ path, requests, origins }) => {
      if (origins.length === 0) return [[host, path, '(redirect)', '', '', String(requests), '']];
      return origins.map((origin) => [
        host,
        path,
        origin.url,
        stateText(origin),
        String(origin.inFlight),
        String(origin.requests),
        String(origin.failures),
      ]);
    }),
  );
  const head = ['SITE', 'PATH', 'ORIGIN', 'STATE', 'NOW', 'REQUESTS', 'FAILURES'];
  return columns([head, ...rows], { right: [4, 5, 6] });
}

function stateText(
  origin: NodeStatus['sites'][number]['routes'][number]['origins'][number],
): string {
  if (!origin.healthy) return 'unhealthy';
  if (origin.ejectedForMs > 0) return `ejected for ${durationText(origin.ejectedForMs)}`;
  return 'healthy';
}
