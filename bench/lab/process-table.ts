/** What the kernel says about processes: who lives in a namespace, and whether a pid is still the same process. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { parseStartTicks } from './process-stat.ts';

/** Identity of a network namespace. */
export interface NamespaceIdentity {
  readonly device: number;
  readonly inode: number;
}

/** `undefined` when there is no namespace of that name. */
export async function namespaceIdentity(name: string): Promise<NamespaceIdentity | undefined> {
  try {
    const { dev, ino } = await stat(`/run/netns/${name}`);
    return { device: dev, inode: ino };
  } catch {
    return undefined;
  }
}

/** Is this process, now, inside one of these namespaces? */
export async function isInside(
  pid: number,
  namespaces: readonly NamespaceIdentity[],
): Promise<boolean> {
  try {
    const { dev, ino } = await stat(`/proc/${pid}/ns/net`);
    return namespaces.some(({ device, inode }) => device === dev && inode === ino);
  } catch {
    return false;
  }
}

/** The processes that are inside any of these namespaces. */
export async function processesInside(namespaces: readonly NamespaceIdentity[]): Promise<number[]> {
  if (namespaces.length === 0) return [];
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const inside = await Promise.all(pids.map((pid) => isInside(pid, namespaces)));
  return pids.filter((_, index) => inside[index]);
}

/**
 * When a process started, in clock ticks since the machine's boot; with the pid it names one life
 * of one process. `undefined` when it has ended.
 */
export async function startTicks(pid: number): Promise<number | undefined> {
  try {
    return parseStartTicks(await readFile(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}
