/** Removes a lab by what its record says, and nothing else. */
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand } from './command.ts';
import { LabError } from './errors.ts';
import {
  isInside,
  type NamespaceIdentity,
  namespaceIdentity,
  processesInside,
} from './process-table.ts';
import { livingRunner, removeLabDirectory, type StoredLab } from './record.ts';

/** How long processes get to end by themselves after TERM. */
const TERM_MS = 1_500;
const KILL_MS = 3_000;
const RUNNER_MS = 15_000;

export interface Removed {
  readonly namespaces: number;
  readonly processes: number;
}

/**
 * Ends every process inside the lab's namespaces, removes the namespaces and the directory. Safe
 * to repeat; what is already gone is no error.
 * @throws LabError `ERR_LAB_COMMAND` when a process cannot be ended or a namespace not removed.
 */
export async function removeLab(lab: StoredLab): Promise<Removed> {
  const names: string[] = [];
  const identities: NamespaceIdentity[] = [];
  for (const name of lab.record.namespaces) {
    const identity = await namespaceIdentity(name);
    if (identity === undefined) continue;
    names.push(name);
    identities.push(identity);
  }
  const processes = await endProcesses(identities);
  if (names.length > 0) {
    const input = names.map((name) => `netns del ${name}\n`).join('');
    await runCommand(['ip', '-force', '-batch', '-'], { input });
  }
  await removeLabDirectory(lab.directory);
  return { namespaces: names.length, processes };
}

async function endProcesses(namespaces: readonly NamespaceIdentity[]): Promise<number> {
  const seen = new Set<number>();
  for (const [signal, waitMs] of [
    ['SIGTERM', TERM_MS],
    ['SIGKILL', KILL_MS],
  ] as const) {
    const deadline = performance.now() + waitMs;
    const told = new Set<number>();
    for (;;) {
      const pids = await processesInside(namespaces);
      if (pids.length === 0) return seen.size;
      for (const pid of pids) {
        seen.add(pid);
        if (told.has(pid)) continue;
        told.add(pid);
        await signalInside(pid, signal, namespaces);
      }
      if (performance.now() > deadline) break;
      await sleep(20);
    }
  }
  const left = await processesInside(namespaces);
  throw new LabError(`processes ${left.join(', ')} cannot be ended`, 'ERR_LAB_COMMAND');
}

/** The pid may have been reused since it was listed: look again just before. */
export async function signalInside(
  pid: number,
  signal: NodeJS.Signals,
  namespaces: readonly NamespaceIdentity[],
): Promise<void> {
  if (!(await isInside(pid, namespaces))) return;
  try {
    process.kill(pid, signal);
  } catch {
    // Ended in between.
  }
}

/**
 * Asks the process that still uses this lab to stop, and waits until it has cleaned up.
 * Resolves to true when nothing is left to do.
 */
export async function stopRunner(lab: StoredLab): Promise<boolean> {
  const pid = await livingRunner(lab.record);
  if (pid === undefined || pid === process.pid) return false;
  process.kill(pid, 'SIGTERM');
  const deadline = performance.now() + RUNNER_MS;
  while (performance.now() < deadline) {
    await sleep(50);
    if ((await livingRunner(lab.record)) === undefined) return true;
  }
  return false;
}
