/** Makes links long: by the kernel's netem where there is one, by a relay of ours elsewhere. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand, tryCommand } from '../command.ts';
import { Daemon, waitUntil } from '../daemons.ts';
import { LabError } from '../errors.ts';
import { scriptPath } from '../scripts.ts';
import type { Impairment, LinkPlan, Span } from '../topology.ts';
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

/** The lab's long links, whose lengths can change while packets are under way. */
export interface LongLinks {
  /**
   * Every link of this span gets this length from now on; what is left out stays.
   * @throws LabError `ERR_LAB_USAGE` when the lab was built without long links there.
   */
  change(span: Span, length: Partial<Impairment>): Promise<void>;
  /** Back to the lengths as built. */
  restore(): Promise<void>;
}

/** Sets the lengths of links; they are those as built with some changed. */
function longLinks(
  built: readonly LinkPlan[],
  set: (links: readonly LinkPlan[]) => Promise<void>,
): LongLinks {
  let links = built;
  return {
    async change(span, length) {
      if (!links.some((link) => link.span === span)) {
        throw new LabError(`the links of ${span} are not long in this lab`, 'ERR_LAB_USAGE');
      }
      links = links.map((link) => {
        if (link.span !== span) return link;
        const { delayMs = 0, lossPercent = 0 } = link.impairment ?? {};
        return { ...link, impairment: { delayMs, lossPercent, ...length } };
      });
      await set(links);
    },
    async restore() {
      if (links === built) return;
      links = built;
      await set(built);
    },
  };
}

/** For links that exist. @throws LabError `ERR_LAB_COMMAND` */
export async function impairByNetem(links: readonly LinkPlan[], labId: string): Promise<LongLinks> {
  const set = async (wanted: readonly LinkPlan[]) => {
    for (const argv of netemCommands(wanted, labId)) await runCommand(argv);
  };
  await set(links);
  return longLinks(links, set);
}

/**
 * Makes the links themselves. They live as long as the relay, which ends with the lab.
 * @throws LabError `ERR_LAB_DAEMON` with the relay's words when it cannot.
 */
export async function makeRelayedLinks(
  links: readonly LinkPlan[],
  lab: { readonly id: string; readonly directory: string; readonly seed: number },
): Promise<LongLinks> {
  const logFile = join(lab.directory, 'relay.log');
  const planFile = join(lab.directory, 'relay.json');
  const write = async (wanted: readonly LinkPlan[]) => {
    await writeFile(`${planFile}.new`, JSON.stringify(relayPlan(wanted, lab.id, lab.seed)));
    await rename(`${planFile}.new`, planFile);
  };
  await write(links);
  const relay = await Daemon.start({
    title: 'the relay of the long links',
    // Where teardown looks for it.
    namespace: namespaceName(lab.id, 'router'),
    argv: [process.execPath, scriptPath('./delay/relay-process.ts'), planFile],
    logFile,
    // A read that waits for a frame holds a thread.
    environment: { UV_THREADPOOL_SIZE: String(2 * links.length + 2) },
  });
  await waitUntil(async () => (await readFile(logFile, 'utf8')).includes('ready\n'), {
    complaint: 'the relay of the long links does not begin',
    timeoutMs: READY_TIMEOUT_MS,
    daemons: [relay],
  });
  return longLinks(links, async (wanted) => {
    await write(wanted);
    await relay.requireRunning();
    if (relay.pid !== undefined) process.kill(relay.pid, 'SIGHUP');
  });
}
