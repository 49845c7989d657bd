/** Which CPUs the measured process and the load get. A core without IO. */

/** CPUs of `0-3,8`, the form of `Cpus_allowed_list` in /proc/PID/status (proc(5)). */
export function parseCpuList(text: string): number[] {
  const cpus: number[] = [];
  for (const part of text.trim().split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (match === null) continue;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    for (let cpu = first; cpu <= last && cpus.length < 4_096; cpu += 1) cpus.push(cpu);
  }
  return cpus;
}

export interface CpuShares {
  /** For the process that is measured: one, as each contender has one worker. */
  readonly measured: string;
  /** For the load and the origin. */
  readonly load: string;
}

/** `undefined` with one CPU only: then all share it. */
export function shareCpus(allowed: readonly number[]): CpuShares | undefined {
  const [first, ...others] = allowed;
  if (first === undefined || others.length === 0) return undefined;
  return { measured: String(first), load: others.join(',') };
}
