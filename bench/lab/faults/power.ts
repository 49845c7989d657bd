/** A PoP dies without a last word, and comes back. */
import { runCommand } from '../command.ts';
import type { Lab } from '../lab.ts';
import { namespaceIdentity, processesInside } from '../process-table.ts';
import { signalInside } from '../teardown.ts';
import type { PopPlan } from '../topology.ts';

async function links(lab: Lab, pop: PopPlan, state: 'up' | 'down'): Promise<void> {
  // The far ends: the PoP sees its carrier go, and keeps its addresses for the day it is back.
  for (const node of ['router', 'backbone']) {
    const line = ['link', 'set', pop.routerInterface, state];
    await runCommand(['ip', '-n', lab.namespace(node), ...line]);
  }
}

/**
 * Power off: first the cables, so that nothing which its kernel says about its sockets gets out,
 * then every process in it.
 */
export async function powerOff(lab: Lab, pop: PopPlan): Promise<void> {
  await links(lab, pop, 'down');
  const identity = await namespaceIdentity(lab.namespace(pop.name));
  if (identity === undefined) return;
  for (const pid of await processesInside([identity]))
    await signalInside(pid, 'SIGKILL', [identity]);
}

/** BGP and the server run again, and the router has heard of it. */
export async function powerOn(lab: Lab, pop: PopPlan): Promise<void> {
  await links(lab, pop, 'up');
  await lab.startPop(pop);
}
