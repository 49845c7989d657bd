/**
 * The few functions of libbpf.so.1 and libc that the datapath needs, and their errors. Loaded on
 * first use, so that a node without healing needs neither. Pointers are bigints.
 */
import koffi from 'koffi';
import { DatapathError } from './datapath-error.ts';

/** An address in this process. */
export type Pointer = bigint | null;

const INT = 'int';
const PTR = 'void *';
const TEXT = 'const char *';

const BPF = {
  bpf_object__open_file: [PTR, TEXT, PTR],
  bpf_object__load: [INT, PTR],
  bpf_object__close: ['void', PTR],
  bpf_object__find_map_by_name: [PTR, PTR, TEXT],
  bpf_object__find_program_by_name: [PTR, PTR, TEXT],
  bpf_map__fd: [INT, PTR],
  bpf_map__reuse_fd: [INT, PTR, INT],
  bpf_map__set_max_entries: [INT, PTR, 'uint32_t'],
  bpf_program__fd: [INT, PTR],
  bpf_program__set_log_buf: [INT, PTR, PTR, 'size_t'],
  bpf_obj_pin: [INT, INT, TEXT],
  bpf_obj_get: [INT, TEXT],
  bpf_obj_get_info_by_fd: [INT, INT, PTR, PTR],
  bpf_link_create: [INT, INT, INT, INT, PTR],
  bpf_link_update: [INT, INT, INT, PTR],
  bpf_raw_tracepoint_open: [INT, TEXT, INT],
  bpf_map_update_elem: [INT, INT, PTR, PTR, 'uint64_t'],
  bpf_map_lookup_elem: [INT, INT, PTR, PTR],
  bpf_map_delete_elem: [INT, INT, PTR],
  bpf_map_get_next_key: [INT, INT, PTR, PTR],
  bpf_map_update_batch: [INT, INT, PTR, PTR, PTR, PTR],
  bpf_map_delete_batch: [INT, INT, PTR, PTR, PTR],
  bpf_map_lookup_batch: [INT, INT, PTR, PTR, PTR, PTR, PTR, PTR],
  bpf_prog_test_run_opts: [INT, INT, PTR],
  libbpf_num_possible_cpus: [INT],
  libbpf_set_print: [PTR, PTR],
  libbpf_version_string: [TEXT],
} as const;

const LIBC = {
  close: [INT, INT],
  mmap: [PTR, PTR, 'size_t', INT, INT, INT, 'int64_t'],
  munmap: [INT, PTR, 'size_t'],
  mount: [INT, TEXT, TEXT, TEXT, 'unsigned long', PTR],
  umount2: [INT, TEXT, INT],
  if_nametoindex: ['uint32_t', TEXT],
  socket: [INT, INT, INT, INT],
  getsockopt: [INT, INT, INT, INT, PTR, PTR],
} as const;

type Argument = bigint | number | string | null | ArrayBufferView;
type Functions<T> = { readonly [K in keyof T]: (...values: Argument[]) => unknown };

let libbpf: Functions<typeof BPF> | undefined;
let libc: Functions<typeof LIBC> | undefined;

function bind<T extends Record<string, readonly string[]>>(
  library: string,
  table: T,
): Functions<T> {
  const handle = koffi.load(library);
  const functions: Record<string, unknown> = {};
  for (const [name, [result, ...values]] of Object.entries(table)) {
    functions[name] = handle.func(name, result!, values);
  }
  return functions as Functions<T>;
}

function bpf(): Functions<typeof BPF> {
  if (libbpf !== undefined) return libbpf;
  try {
    libbpf = bind('libbpf.so.1', BPF);
  } catch (cause) {
    throw new DatapathError(
      'ERR_DATAPATH_LIBRARY',
      'libbpf.so.1 (1.1 or newer) cannot be loaded; install it (Debian: libbpf1)',
      0,
      cause,
    );
  }
  // Its messages would go to stderr unasked; the verifier's log comes by buffer instead.
  libbpf.libbpf_set_print(null);
  return libbpf;
}

function c(): Functions<typeof LIBC> {
  libc ??= bind('libc.so.6', LIBC);
  return libc;
}

/** Calls libbpf. @returns what it returns; negative is an errno, as in libbpf 1.x. */
export function callBpf(name: keyof typeof BPF, ...values: Argument[]): number {
  return bpf()[name](...values) as number;
}

/** Calls libbpf for a pointer, `null` on failure with the reason in {@link errno}. */
export function callBpfPointer(name: keyof typeof BPF, ...values: Argument[]): Pointer {
  return bpf()[name](...values) as Pointer;
}

/** Calls libc; on failure the reason is in {@link errno}. */
export function callC(name: keyof typeof LIBC, ...values: Argument[]): number {
  return c()[name](...values) as number;
}

/** Calls libc for a pointer. */
export function callCPointer(name: keyof typeof LIBC, ...values: Argument[]): Pointer {
  return c()[name](...values) as Pointer;
}

/** `v1.1`; undefined when the library cannot be loaded. */
export function libbpfVersion(): string | undefined {
  try {
    return bpf().libbpf_version_string() as string;
  } catch {
    return undefined;
  }
}

/** Of the last call. */
export function errno(): number {
  return koffi.errno();
}

export const ENOENT = 2;
export const E2BIG = 7;
export const ENOMEM = 12;
export const EEXIST = 17;
export const ENOSPC = 28;

/** Errno as people know it. */
export function errnoName(number: number): string {
  const names: Record<string, number> = koffi.os.errno;
  for (const [name, value] of Object.entries(names)) if (value === number) return name;
  return `errno ${number}`;
}

/** Throws when `result` is negative. @returns `result`. */
export function check(result: number, what: string): number {
  if (result >= 0) return result;
  throw new DatapathError(
    'ERR_DATAPATH_KERNEL',
    `${what}: ${errnoName(-result)}${-result === 1 ? ' (root, or CAP_BPF with CAP_NET_ADMIN and CAP_PERFMON, is needed)' : ''}`,
    -result,
  );
}

export function closeFd(fd: number): void {
  callC('close', fd);
}

/** The address of a buffer's memory. Keep the buffer referenced while the kernel uses it. */
export function addressOf(buffer: ArrayBufferView): bigint {
  return koffi.address(buffer);
}

const PAGE_BYTES = 4_096;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;

/** Memory of a map, seen from here. Never use the buffer after {@link Mapping.unmap}. */
export interface Mapping {
  readonly buffer: ArrayBuffer;
  unmap(): void;
}

/** Maps `bytes` of `fd`, rounded up to whole pages, from `offset`. */
export function mapMemory(fd: number, bytes: number, offset = 0, writable = true): Mapping {
  const length = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
  const protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const at = callCPointer('mmap', null, length, protection, MAP_SHARED, fd, offset);
  if (at === null || at === 0xffff_ffff_ffff_ffffn || at === -1n) {
    throw new DatapathError('ERR_DATAPATH_KERNEL', `mmap of a map: ${errnoName(errno())}`, errno());
  }
  return {
    buffer: koffi.view(at, bytes),
    unmap: () => {
      callC('munmap', at, length);
    },
  };
}
