/** What /proc tells of a process, as text. A core without IO. */

export interface ProcessStat {
  readonly parentPid: number;
  /** In user and kernel mode together, with children that have ended. Clock ticks. */
  readonly cpuTicks: number;
}

/**
 * `/proc/PID/stat` (proc(5)). The second field is the program's name in parentheses and may itself
 * hold spaces and parentheses, so counting begins after the last one. `undefined` for another text.
 */
export function parseProcessStat(text: string): ProcessStat | undefined {
  const end = text.lastIndexOf(')');
  if (end < 0) return undefined;
  const fields = text
    .slice(end + 1)
    .trim()
    .split(' ')
    .map(Number);
  const [parentPid, utime, stime, cutime, cstime] = [1, 11, 12, 13, 14].map((i) => fields[i]);
  const cpuTicks = Number(utime) + Number(stime) + Number(cutime) + Number(cstime);
  if (!Number.isInteger(parentPid) || !Number.isFinite(cpuTicks)) return undefined;
  return { parentPid: parentPid as number, cpuTicks };
}

/** `VmRSS` of `/proc/PID/status`, bytes; 0 when it is not told, as of a process that has ended. */
export function parseResidentBytes(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024;
}

/** `root` and all that descends from it, given every process with its parent. */
export function treeOf(root: number, parents: ReadonlyMap<number, number>): number[] {
  const children = new Map<number, number[]>();
  for (const [pid, parent] of parents) {
    const known = children.get(parent);
    if (known === undefined) children.set(parent, [pid]);
    else known.push(pid);
  }
  const tree = [root];
  const seen = new Set(tree);
  for (const pid of tree) {
    for (const child of children.get(pid) ?? []) {
      if (seen.has(child)) continue;
      seen.add(child);
      tree.push(child);
    }
  }
  return tree;
}
