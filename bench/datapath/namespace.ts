/** Network namespaces made and left by the tests. The thread moves; nothing outside is touched. */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import koffi from 'koffi';

const CLONE_NEWNET = 0x4000_0000;
const MNT_DETACH = 2;

const libc = koffi.load('libc.so.6');
const unshare = libc.func('int unshare(int)');
const setns = libc.func('int setns(int, int)');
const umount2 = libc.func('int umount2(const char *, int)');
const prctl = libc.func(
  'int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)',
);

/** Why these tests cannot run here, or false. `programs` are needed too. */
export function skipReason(...programs: string[]): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux';
  if (!existsSync('/sys/kernel/btf/vmlinux')) return 'needs a kernel with BTF';
  if (spawnSync('ip', ['-V']).status !== 0) return 'needs iproute2';
  for (const program of programs) {
    if (spawnSync(program, ['--version']).status !== 0) return `needs ${program}`;
  }
  const words = 'ip link add name probe type vxlan external dstport 4789'.split(' ');
  if (spawnSync('unshare', ['--net', ...words]).status !== 0) {
    return 'needs network namespaces and VXLAN';
  }
  return false;
}

/** A network namespace of this process alone: it ends with the process. */
export class Namespace {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  static current(): Namespace {
    return new Namespace(openSync('/proc/thread-self/ns/net', 'r'));
  }

  /** Makes one with its loopback up, and goes back to where the thread was. */
  static create(): Namespace {
    const home = Namespace.current();
    if (unshare(CLONE_NEWNET) !== 0) throw new Error(`unshare: errno ${koffi.errno()}`);
    const made = Namespace.current();
    // Duplicate address detection would give addresses a second or two after they were asked for.
    sh('sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0');
    sh('ip link set lo up');
    home.enter();
    home.close();
    return made;
  }

  /** Path by which `ip link set … netns` and child processes find it. */
  get path(): string {
    return `/proc/${process.pid}/fd/${this.#fd}`;
  }

  /** Moves this thread; sockets and child processes made after it are in the namespace. */
  enter(): void {
    if (setns(this.#fd, CLONE_NEWNET) !== 0) throw new Error(`setns: errno ${koffi.errno()}`);
  }

  /** Runs `work`, which must not wait for anything, in the namespace. */
  run<T>(work: () => T): T {
    const home = Namespace.current();
    this.enter();
    try {
      return work();
    } finally {
      home.enter();
      home.close();
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** One `ip` command or the like; throws what it said. */
export function sh(line: string): string {
  const [command, ...words] = line.trim().split(/\s+/);
  const result = spawnSync(command!, words, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${line}: ${result.stderr}`);
  return result.stdout;
}

/** Many `ip` commands by one process; a line may begin with `-6`. */
export function ip(...lines: string[]): void {
  for (const family of ['-4', '-6']) {
    const mine = lines.filter((line) => line.startsWith('-6 ') === (family === '-6'));
    if (mine.length === 0) continue;
    const input = mine.map((line) => line.replace(/^-6 /, '')).join('\n');
    const words = family === '-6' ? ['-6', '-batch', '-'] : ['-batch', '-'];
    const result = spawnSync('ip', words, { encoding: 'utf8', input });
    if (result.status !== 0) throw new Error(`ip: ${result.stderr}\n${input}`);
  }
}

/** A directory for pins; `drop` unmounts what was mounted below `names` and deletes it. */
export function scratchDirectory(): { path: string; drop: (...names: string[]) => void } {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-datapath-'));
  return {
    path,
    drop: (...names) => {
      for (const name of names) umount2(join(path, name), MNT_DETACH);
      rmSync(path, { recursive: true, force: true });
    },
  };
}

/** The kernel kills this process when its parent dies: a test that crashes leaves nobody behind. */
export function dieWithParent(): void {
  prctl(1, 9, 0, 0, 0);
}
