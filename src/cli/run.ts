/** `holdfast run`: serves until it is told to stop. */
import type { Command } from 'commander';
import {
  HoldfastNode,
  type Inheritance,
  loadNodeConfig,
  refuseToFollow,
  takeInheritance,
} from '../node.ts';
import { version } from '../version.ts';
import { addConfigFlags, configOriginOf } from './config-flags.ts';
import { exitCodes } from './exit.ts';
import { columns } from './table.ts';

export function registerRun(program: Command): void {
  const command = program
    .command('run')
    .summary('serve traffic in the foreground')
    .description(
      'Serves traffic in the foreground until it is told to stop.\n\n' +
        'Signals: HUP reads the configuration again (a refused one changes nothing). TERM or INT ' +
        'drains: accepts nothing new, lets requests finish, closes WebSockets with 1012 spread over ' +
        'time, and exits 0. A second TERM or INT cuts what is left and exits 1. USR2 lets what is now ' +
        'in the place of this release take over, as "holdfast upgrade" does.\n\n' +
        'Every flag has a variable; a flag wins over the variable, and the variable over the file.',
    );
  addConfigFlags(command)
    .addHelpText(
      'after',
      `
Examples:
  holdfast run --to http://127.0.0.1:3000 --listen :8080
  holdfast run --config /etc/holdfast/holdfast.yaml
  holdfast run -t 10.0.1.5:8080 -t 10.0.1.6:8080 -l 127.0.0.1:8080 --workers 2
  HOLDFAST_LOG_LEVEL=debug holdfast run --access-log off`,
    )
    .action(async () => {
      process.exitCode = await run(command);
    });
}

async function run(command: Command): Promise<number> {
  const inheritance = takeInheritance(process.env, process.pid);
  const node = await nodeOf(command, inheritance);
  const stopped = new Promise<number>((resolve) => handleSignals(node, resolve));
  // Told to stop before it was up: the drain ends what had been started.
  const early = await Promise.race([node.start(), stopped]);
  if (early !== undefined) return early;
  if (process.stdout.isTTY) process.stderr.write(banner(node));
  return Promise.race([stopped, node.ended]);
}

async function nodeOf(command: Command, inheritance: Inheritance): Promise<HoldfastNode> {
  const origin = configOriginOf(command);
  try {
    return new HoldfastNode(origin, loadNodeConfig(origin), inheritance);
  } catch (error) {
    if (inheritance.isSuccessor) await refuseToFollow((error as Error).message);
    throw error;
  }
}

/** TERM and INT mean the same, so that Ctrl-C is a clean stop. */
function handleSignals(node: HoldfastNode, stopped: (exitCode: number) => void): void {
  let draining = false;
  const stop = () => {
    if (draining) {
      node.cut();
      process.exit(exitCodes.runtime);
    }
    draining = true;
    void node.drain().then(() => stopped(exitCodes.ok));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => void node.reload());
  // Why it failed is in the log.
  process.on('SIGUSR2', () => void node.upgrade().catch(() => undefined));
}

function banner(node: HoldfastNode): string {
  const { config } = node;
  const facts = [
    ['listening', node.listeners.join(' ')],
    ['sites', Object.keys(config.sites).join(' ')],
    ['workers', String(config.workers)],
    ['admin', node.adminUrl === undefined ? 'off' : `${node.adminUrl}  (holdfast status)`],
    ['stop', 'Ctrl-C; again to stop at once'],
  ];
  return `holdfast ${version()}, node ${config.node}\n${columns(facts, { indent: 2 })}\n`;
}
