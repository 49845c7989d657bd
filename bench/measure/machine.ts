/** On what a benchmark ran, so that its numbers can be read later. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseCpuList } from './cpu-list.ts';
import { BenchError } from './errors.ts';

export interface Machine {
  readonly kernel: string;
  readonly cpuModel: string;
  /** CPUs that the benchmark may use. */
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly node: string;
  /** Open files that a process may have. */
  readonly openFilesMax: number;
}

export function describeMachine(): Machine {
  return {
    kernel: release(),
    cpuModel: cpus()[0]?.model ?? 'unknown',
    cpus: allowedCpus().length,
    memoryBytes: totalmem(),
    node: process.version,
    openFilesMax: openFilesMax(),
  };
}

/** CPUs that this process may run on. */
export function allowedCpus(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  return parseCpuList(/^Cpus_allowed_list:\s+(.*)$/m.exec(status)?.[1] ?? '0');
}

/** The hard limit: node raises its own soft limit to it at the start. */
function openFilesMax(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  return hard === 'unlimited' ? 1_048_576 : Number(hard ?? 1_024);
}

/** System directories that a user's PATH may lack. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/** The program's full path, or `undefined` when it is not installed. */
export function programPath(program: string): string | undefined {
  const directories = (process.env.PATH ?? '').split(delimiter).filter((part) => part !== '');
  for (const directory of [...directories, ...SYSTEM_DIRECTORIES]) {
    const path = join(directory, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here; look further.
    }
  }
  return undefined;
}

/** @throws BenchError `ERR_BENCH_PROGRAM_MISSING` saying which package brings it. */
export function requireProgram(program: string, debianPackage: string): string {
  const path = programPath(program);
  if (path !== undefined) return path;
  throw new BenchError(
    `${program} is not installed: sudo apt-get install ${debianPackage}, or "sudo bash scripts/setup.sh --lab" in a checkout`,
    'ERR_BENCH_PROGRAM_MISSING',
  );
}
