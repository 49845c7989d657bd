/** What healing takes of the machine: CPU time of its processes and of its programs in the kernel. */
import { readdirSync, readFileSync } from 'node:fs';
import koffi from 'koffi';
import { cpuMicros } from '../../measure/process-usage.ts';
import type { HealingCost } from '../measure/record.ts';

/** `BPF_STATS_RUN_TIME` of linux/bpf.h. */
const RUN_TIME = 0;
const FDS_MAX = 1_000;

let counting: boolean | undefined;

/**
 * From now on, and until this process ends, the kernel measures the time that eBPF programs take
 * (bpf_enable_stats(2) through libbpf). @returns Whether it does.
 */
export function countPrograms(): boolean {
  if (counting === undefined) {
    try {
      const enable = koffi.load('libbpf.so.1').func('int bpf_enable_stats(int type)');
      // The descriptor is never closed: counting ends with it.
      counting = enable(RUN_TIME) >= 0;
    } catch {
      counting = false;
    }
  }
  return counting;
}

/** One eBPF program as `/proc/PID/fdinfo/N` shows it. */
export interface ProgramUsage {
  readonly id: number;
  readonly runNs: number;
  readonly runs: number;
}

/** `undefined` for a descriptor of anything else. Never throws. */
export function parseProgramUsage(fdinfo: string): ProgramUsage | undefined {
  const value = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+)$`, 'm').exec(fdinfo)?.[1];
    return found === undefined ? Number.NaN : Number(found);
  };
  const [id, runNs, runs] = [value('prog_id'), value('run_time_ns'), value('run_cnt')];
  return [id, runNs, runs].every(Number.isSafeInteger)
    ? { id: id!, runNs: runNs!, runs: runs! }
    : undefined;
}

/** Every program that a process holds, once. */
function programsOf(pid: number): ProgramUsage[] {
  const found = new Map<number, ProgramUsage>();
  try {
    for (const fd of readdirSync(`/proc/${pid}/fdinfo`).slice(0, FDS_MAX)) {
      const usage = parseProgramUsage(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'));
      if (usage !== undefined) found.set(usage.id, usage);
    }
  } catch {
    // The process, or the descriptor, is gone.
  }
  return [...found.values()];
}

/** Since the process and its programs began. */
export function costOf(pid: number): HealingCost {
  const agentsCpuMs = cpuMicros(pid) / 1_000;
  const programs = countPrograms() ? programsOf(pid) : [];
  if (programs.length === 0) return { programsCpuMs: null, programRuns: null, agentsCpuMs };
  return {
    programsCpuMs: programs.reduce((sum, program) => sum + program.runNs, 0) / 1e6,
    programRuns: programs.reduce((sum, program) => sum + program.runs, 0),
    agentsCpuMs,
  };
}

const total = (values: readonly (number | null)[]): number | null =>
  values.reduce<number | null>(
    (sum, value) => (sum === null || value === null ? null : sum + value),
    0,
  );

const rounded = (value: number | null): number | null =>
  value === null ? null : Math.round(value * 1_000) / 1_000;

/**
 * What was spent between two readings, all PoPs together; `undefined` where nobody tells. An agent
 * that was replaced meanwhile counts from its own start.
 */
export function sumCosts(
  before: readonly HealingCost[],
  after: readonly HealingCost[],
): HealingCost | undefined {
  if (after.length === 0) return undefined;
  const spent = (key: keyof HealingCost): number | null => {
    const [then, now] = [before, after].map((costs) => total(costs.map((cost) => cost[key])));
    if (then === null || now === null || then === undefined || now === undefined) return null;
    return now >= then ? rounded(now - then) : rounded(now);
  };
  return {
    programsCpuMs: spent('programsCpuMs'),
    programRuns: spent('programRuns'),
    agentsCpuMs: spent('agentsCpuMs') ?? 0,
  };
}
