/** Makes links long: by the kernel's netem where there is one, by a relay of ours elsewhere. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand, tryCommand } from '../command.ts';
import { Daemon, waitUntil } from '../daemons.ts';
import { scriptPath } from '../scripts.ts';
import type { LinkPlan } from '../topology.ts';
import { namespaceName } from '../wiring.ts';
import { netemCommands, relayPlan } from './plan.ts';

const READY_TIMEOUT_MS = 10_000;

/** Does this kernel have netem? Asked in a namespace of the lab, on its loopback. */
export async function hasNetem(labId: string): Promise<boolean> {
  const tc = ['tc', '-n', namespaceName(labId, 'router'), 'qdisc'];
  const device = ['dev', 'lo', 'root'];
  const { code } = await tryCommand([...tc, 'add', ...device, 'netem', 'delay', '1ms']);
  if (code !== 0) return false;
  await tryCommand([...tc, 'del', ...device]);
  return true;
}

/** For links that exist. @throws LabError `ERR_LAB_COMMAND` */
export async function impairByNetem(links: readonly LinkPlan[], labId: string): Promise<void> {
  for (const argv of netemCommands(links, labId)) await runCommand(argv);
}

/**
 * Makes the links themselves. They live as long as the relay, which ends with the lab.
 * @throws LabError `ERR_LAB_DAEMON` with the relay's words when it cannot.
 */
export async function makeRelayedLinks(
  links: readonly LinkPlan[],
  lab: { readonly id: string; readonly directory: string; readonly seed: number },
): Promise<void> {
  const plan = relayPlan(links, lab.id, lab.seed);
  const logFile = join(lab.directory, 'relay.log');
  const relay = await Daemon.start({
    title: 'the relay of the long links',
    // Where teardown looks for it.
    namespace: namespaceName(lab.id, 'router'),
    argv: [process.execPath, scriptPath('./delay/relay-process.ts'), JSON.stringify(plan)],
    logFile,
    // A read that waits for a frame holds a thread.
    environment: { UV_THREADPOOL_SIZE: String(2 * links.length + 2) },
  });
  await waitUntil(async () => (await readFile(logFile, 'utf8')).includes('ready\n'), {
    complaint: 'the relay of the long links does not begin',
    timeoutMs: READY_TIMEOUT_MS,
    daemons: [relay],
  });
}
