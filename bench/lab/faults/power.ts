/** A PoP dies without a last word, and comes back. */
import { readFile } from 'node:fs/promises';
import { monotonicMs } from '../clock.ts';
import { runCommand } from '../command.ts';
import { insideNamespace } from '../daemons.ts';
import type { Lab } from '../lab.ts';
import { namespaceIdentity, processesInside } from '../process-table.ts';
import { signalInside } from '../teardown.ts';
import type { PopPlan } from '../topology.ts';

/** Packets to and from a dead PoP, dropped where it was. */
const SILENCE_TABLE = 'inet silence';

async function links(
  lab: Lab,
  pop: PopPlan,
  state: 'up' | 'down',
  nodes: readonly string[] = ['router', 'backbone'],
): Promise<void> {
  // The far ends: the PoP sees its carrier go, and keeps its addresses for the day it is back.
  for (const node of nodes) {
    const line = ['link', 'set', pop.routerInterface, state];
    await runCommand(['ip', '-n', lab.namespace(node), ...line]);
  }
}

/** The router sees a carrier, as behind a switch, and hears nothing. */
async function silence(lab: Lab, pop: PopPlan): Promise<void> {
  const device = pop.routerInterface;
  const rules = `table ${SILENCE_TABLE} {
  chain in { type filter hook prerouting priority -400; iifname "${device}" drop; }
  chain out { type filter hook postrouting priority 400; oifname "${device}" drop; }
}
`;
  await runCommand(insideNamespace(lab.namespace('router'), ['nft', '-f', '-']), { input: rules });
  await links(lab, pop, 'down', ['backbone']);
}

/**
 * Power off: first the cables, so that nothing which its kernel says about its sockets gets out,
 * then every process in it.
 * @param quietly The router's carrier stays.
 * @returns the moment before the first cable went: another PoP may answer its clients before the
 *   second one is out, and no reset may be older than the death that caused it.
 */
export async function powerOff(lab: Lab, pop: PopPlan, quietly = false): Promise<number> {
  const deadAtMs = monotonicMs();
  if (quietly) await silence(lab, pop);
  else await links(lab, pop, 'down');
  const identity = await namespaceIdentity(lab.namespace(pop.name));
  if (identity === undefined) return deadAtMs;
  for (const pid of await processesInside([identity]))
    await signalInside(pid, 'SIGKILL', [identity]);
  return deadAtMs;
}

/** BGP and the server run again, and the router has heard of it. */
export async function powerOn(lab: Lab, pop: PopPlan): Promise<void> {
  const input = `table ${SILENCE_TABLE}\ndelete table ${SILENCE_TABLE}\n`;
  await runCommand(insideNamespace(lab.namespace('router'), ['nft', '-f', '-']), { input });
  await links(lab, pop, 'up');
  await lab.startPop(pop);
}

/** What outlives {@link killAll}: routing daemons, the program of ExaBGP, holders of namespaces. */
const SPARED = /^(bird|sleep|exabgp|python3[.0-9]*)$/;

/**
 * Kills every process of a PoP but its routing daemons. Its kernel goes on.
 * @returns when.
 */
export async function killAll(lab: Lab, pop: PopPlan): Promise<number> {
  const identity = await namespaceIdentity(lab.namespace(pop.name));
  if (identity === undefined) return monotonicMs();
  const pids = await processesInside([identity]);
  const doomed: number[] = [];
  for (const pid of pids) {
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
    const isSpared = SPARED.test((await read('comm')).trim());
    const command = (await read('cmdline')).replaceAll('\0', ' ');
    if (!isSpared && !command.includes(' announce exabgp ')) doomed.push(pid);
  }
  // At once: a supervisor that saw its worker die would start another.
  const deadAtMs = monotonicMs();
  await Promise.all(doomed.map((pid) => signalInside(pid, 'SIGKILL', [identity])));
  return deadAtMs;
}
