/**
 * Where the programs hang in the kernel. Links are pinned, so packets are healed without any agent;
 * the next agent puts its own programs into the same links, without a gap.
 */
import { existsSync, readdirSync, renameSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { callBpf, check, closeFd } from './libbpf.ts';

/** Attach types of tcx, `enum bpf_attach_type`. */
const TCX_INGRESS = 46;
const TCX_EGRESS = 47;

const LINK_INFO_BYTES = 64;
const LINK_IFINDEX = 16;

export interface Hook {
  /** File name of the pin. */
  readonly name: string;
  readonly program: number;
  readonly ifindex: number;
  readonly direction: 'ingress' | 'egress';
}

/** The device that a pinned tcx link hangs on; 0 when that device is gone. */
function ifindexOf(link: number): number {
  const info = Buffer.alloc(LINK_INFO_BYTES);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(LINK_INFO_BYTES);
  if (callBpf('bpf_obj_get_info_by_fd', link, info, length) < 0) return 0;
  return info.readUInt32LE(LINK_IFINDEX);
}

/** Puts the program on the device; in place when an earlier agent's link is there. */
export function attachHook(directory: string, hook: Hook): void {
  const pin = join(directory, hook.name);
  const before = callBpf('bpf_obj_get', pin);
  if (before >= 0) {
    const same = ifindexOf(before) === hook.ifindex;
    const updated = same ? callBpf('bpf_link_update', before, hook.program, null) : -1;
    closeFd(before);
    if (updated >= 0) return;
    unlinkSync(pin);
  }
  const type = hook.direction === 'ingress' ? TCX_INGRESS : TCX_EGRESS;
  const what = `attaching ${hook.name} (tcx needs Linux 6.6)`;
  const link = check(callBpf('bpf_link_create', hook.program, hook.ifindex, type, null), what);
  try {
    check(callBpf('bpf_obj_pin', link, pin), `pinning ${hook.name}`);
  } finally {
    closeFd(link);
  }
}

/** Tracing links cannot be updated: the new one hangs before the old one goes. */
export function attachTracepoint(directory: string, name: string, program: number): void {
  const pin = join(directory, name);
  const fresh = `${pin}-new`;
  if (existsSync(fresh)) unlinkSync(fresh);
  const what = 'attaching to inet_sock_set_state (needs BTF of the kernel)';
  const link = check(callBpf('bpf_raw_tracepoint_open', null, program), what);
  try {
    check(callBpf('bpf_obj_pin', link, fresh), `pinning ${name}`);
    renameSync(fresh, pin);
  } finally {
    closeFd(link);
  }
}

/** Takes away links that no longer belong to the wanted ones, such as of a former uplink. */
export function detachOthers(directory: string, wanted: ReadonlySet<string>): void {
  for (const name of readdirSync(directory)) {
    if (name.startsWith('link-') && !wanted.has(name)) unlinkSync(join(directory, name));
  }
}
