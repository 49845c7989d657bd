/** The directory of the pins: a BPF file system of our own, so that nothing else's is touched. */
import { mkdirSync, readdirSync, rmdirSync, statfsSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { DatapathError } from './datapath-error.ts';
import { callC, errno, errnoName } from './libbpf.ts';

const BPF_FS_MAGIC = 0xcafe4a11;

/** Whether the directory is on a BPF file system. */
export function isBpffs(directory: string): boolean {
  try {
    return statfsSync(directory).type === BPF_FS_MAGIC;
  } catch {
    return false;
  }
}

/**
 * Makes `directory` one where maps can be pinned: as it is when it lies on a BPF file system, else
 * by mounting one there. The mount belongs to the mount namespace of this process: pins outlive the
 * process only if that does (not so under `ip netns exec`; use `nsenter --net=` instead).
 */
export function ensureBpffs(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (isBpffs(directory)) return;
  if (callC('mount', 'bpf', directory, 'bpf', 0, null) !== 0) {
    throw new DatapathError(
      'ERR_DATAPATH_KERNEL',
      `cannot mount a BPF file system at ${directory}: ${errnoName(errno())}; run as root (CAP_SYS_ADMIN), or name a directory on a mounted one (/sys/fs/bpf/…)`,
      errno(),
    );
  }
}

/** Undoes {@link ensureBpffs} when nothing is pinned there any more. */
export function releaseBpffs(directory: string): void {
  // Names with a dot are the file system's own; nobody else can make such.
  const mine = (name: string) => !name.includes('.');
  if (!isBpffs(directory) || readdirSync(directory).some(mine)) return;
  // Not a mount point of its own: a directory on somebody else's mount.
  if (callC('umount2', directory, 0) !== 0 && errno() !== 22) return;
  rmdirSync(directory);
}

/** Removes every directory of pins in `directory` but the one named `keep`. */
export function removePinsExcept(directory: string, keep: string | undefined): void {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return;
  }
  for (const name of names) {
    if (/^v\d+(-new)?$/.test(name) && name !== keep) removePins(join(directory, name));
  }
}

/** Unlinks every pin in the directory, and the directory. */
export function removePins(directory: string): void {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return;
  }
  for (const name of names) unlinkSync(join(directory, name));
  rmdirSync(directory);
}
