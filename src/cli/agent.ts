/** `holdfast agent`: heals the sessions of any server on this machine. */
import type { Command } from 'commander';
import { Option } from 'commander';
import { AgentRefusedError } from '../agent/agent.ts';
import {
  AgentNode,
  type AgentOverrides,
  loadAgentConfig,
  removeHealing,
} from '../agent/agent-node.ts';
import { agentSettings } from '../agent/settings.ts';
import { adminAddressOf } from '../config/load.ts';
import { ServiceManager, takeInheritance } from '../node.ts';
import { version } from '../version.ts';
import { askAdmin } from './admin-client.ts';
import { checkTable } from './check-table.ts';
import { configFileOf, configOption } from './config-flags.ts';
import { ExitError, exitCodes } from './exit.ts';

interface AgentFlags {
  readonly admin?: string;
  readonly logLevel?: string;
  readonly remove?: boolean;
}

const RUNNING_TIMEOUT_MS = 2_000;

export function registerAgent(program: Command): void {
  const command = program
    .command('agent')
    .summary('heal sessions of any server, without serving')
    .description(
      'Keeps TCP sessions of the VIPs alive across route changes, whatever server answers them: ' +
        'nginx, a database, sshd. Runs in the foreground, as root.\n\n' +
        'The work is done in the kernel and goes on while no agent runs: TERM or INT says good-bye ' +
        'to the other nodes and leaves it in place, and the next agent takes it over without losing ' +
        'a flow. What is announced stays so for announce.deadManMs: "holdfast drain --wait" first ' +
        'takes the node out of service. --remove takes everything away.',
    )
    .addOption(configOption())
    .addOption(
      new Option('-a, --admin <address>', 'address of status and metrics, or off').env(
        'HOLDFAST_ADMIN',
      ),
    )
    .addOption(
      new Option('--log-level <level>', 'debug, info, warn or error').env('HOLDFAST_LOG_LEVEL'),
    )
    .option('--remove', 'take programs, maps and tunnel device out of the kernel, and end')
    .addHelpText(
      'after',
      `
Examples:
  holdfast doctor --config /etc/holdfast/agent.yaml
  holdfast agent --config /etc/holdfast/agent.yaml
  holdfast agent --config /etc/holdfast/agent.yaml --remove`,
    )
    .action(async (flags: AgentFlags) => {
      const file = fileOf(command);
      process.exitCode = flags.remove ? await remove(file) : await run(file, overridesOf(flags));
    });
}

/** The configuration that an agent or doctor is about. Throws {@link ExitError}. */
export function fileOf(command: Command): string {
  const file = configFileOf(command, true);
  if (file !== undefined) return file;
  throw new ExitError(
    exitCodes.usage,
    'an agent needs a file with "mesh", "datapath" and "vips": give --config FILE',
  );
}

function overridesOf({ admin, logLevel }: AgentFlags): NonNullable<AgentOverrides> {
  return [
    ...(admin === undefined ? [] : [{ key: 'admin' as const, value: admin, from: '--admin' }]),
    ...(logLevel === undefined
      ? []
      : [{ key: 'logLevel' as const, value: logLevel, from: '--log-level' }]),
  ];
}

async function run(file: string, overrides: NonNullable<AgentOverrides>): Promise<number> {
  const { notifySocket, watchdogMs } = takeInheritance(process.env, process.pid);
  const node = new AgentNode(loadAgentConfig(file, overrides), version());
  const manager = new ServiceManager(notifySocket, node.log);
  let stopping = false;
  const stopped = new Promise<number>((resolve) => {
    const stop = () => {
      // The kernel's work needs no orderly end.
      if (stopping) process.exit(exitCodes.runtime);
      stopping = true;
      manager.stopping('ends; the kernel goes on healing');
      void node.stop().then(() => resolve(exitCodes.ok));
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('SIGHUP', () => {
      node.log.warn('an agent reads its configuration at the start: restart it');
    });
  });
  try {
    await node.start();
    manager.ready(`node ${node.settings.node} heals ${node.settings.vips.join(' ')}`);
    // The loop that gives the sign is the one that hears the kernel and the mesh.
    if (watchdogMs !== undefined) manager.watch(watchdogMs, async () => true, '');
  } catch (error) {
    if (error instanceof AgentRefusedError) process.stderr.write(checkTable(error.checks));
    throw error;
  }
  return stopped;
}

async function remove(file: string): Promise<number> {
  const { config } = loadAgentConfig(file);
  const running = await runningAgent(file);
  if (running !== undefined) {
    throw new ExitError(
      exitCodes.runtime,
      `an agent runs (process ${running}): stop it first, else it would go on with nothing`,
    );
  }
  await removeHealing(agentSettings(config, version()));
  return exitCodes.ok;
}

/** Process of the agent that answers at the configured address. */
async function runningAgent(file: string): Promise<number | undefined> {
  const admin = adminAddressOf(file);
  if (admin === null) return undefined;
  const host = admin.host === '' || admin.host === '0.0.0.0' ? '127.0.0.1' : admin.host;
  try {
    const { body } = await askAdmin({ ...admin, host }, 'GET', '/status', RUNNING_TIMEOUT_MS);
    return (body as { agent?: { pid?: number } }).agent?.pid;
  } catch (error) {
    if (error instanceof ExitError) return undefined;
    throw error;
  }
}
