/** CPU time and memory of a process and all that it started, from /proc. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { type ProcessStat, parseProcessStat, parseResidentBytes, treeOf } from './process-stat.ts';

let ticksPerSecond: number | undefined;

/** `sysconf(_SC_CLK_TCK)`; 100 on nearly every Linux. */
function clockTicks(): number {
  ticksPerSecond ??= Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100;
  return ticksPerSecond;
}

function statOf(pid: number): ProcessStat | undefined {
  try {
    return parseProcessStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined; // It has ended.
  }
}

/** The process and its descendants, parents first. */
export function processTree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = statOf(pid);
    if (stat !== undefined) parents.set(pid, stat.parentPid);
  }
  return treeOf(root, parents);
}

/** CPU time of the tree since it began, microseconds; the kernel counts in ticks of 10 ms. */
export function cpuMicros(root: number): number {
  let ticks = 0;
  for (const pid of processTree(root)) ticks += statOf(pid)?.cpuTicks ?? 0;
  return (ticks / clockTicks()) * 1_000_000;
}

/**
 * CPU time of the tree since it began, nanoseconds, from `/proc/PID/task/TID/schedstat`: exact, but
 * without threads and children that have ended.
 */
export function cpuNs(root: number): number {
  let ns = 0;
  for (const pid of processTree(root)) {
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1');
        ns += Number(text.split(' ', 1)[0]);
      }
    } catch {
      // It has ended.
    }
  }
  return ns;
}

/** Resident memory of the tree, bytes. Pages that several processes share are counted in each. */
export function residentBytes(root: number): number {
  let bytes = 0;
  for (const pid of processTree(root)) {
    try {
      bytes += parseResidentBytes(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      // It has ended.
    }
  }
  return bytes;
}
