/** What healing needs of this machine, found out without changing anything. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { endianness, release } from 'node:os';
import { dirname } from 'node:path';
import { canonicalAddress, type Endpoint, isIPv6Text } from './address-bytes.ts';
import { isBpffs } from './bpffs.ts';
import type { DatapathOptions } from './datapath.ts';
import { type Device, listDevices } from './iproute.ts';
import { libbpfVersion } from './libbpf.ts';
import { listListeners, udpPortInUse } from './socket-list.ts';
import { tunnelOverheadBytes } from './tunnel-device.ts';

/** One line of `holdfast doctor`. */
export interface Check {
  /** Stable, `kernel`, `uplink eth0` … */
  readonly name: string;
  readonly ok: boolean;
  /** False: healing works without it, or it can come later. */
  readonly required: boolean;
  readonly found: string;
  readonly needed: string;
  /** What to do; empty when ok. */
  readonly mend: string;
}

export type DoctorOptions = Pick<DatapathOptions, 'uplinks' | 'underlay' | 'vips'> &
  Partial<Pick<DatapathOptions, 'tunnelDevice' | 'tunnelPort' | 'pinDirectory'>>;

/** Everything that this machine sees; for tests, any part can be given. */
export interface MachineFacts {
  readonly platform: string;
  readonly endianness: string;
  readonly kernel: string;
  readonly hasBtf: boolean;
  /** Effective capabilities, a bit set. */
  readonly capabilities: bigint;
  /** The pins have a BPF file system already, so none need be mounted. */
  readonly pinsMounted: boolean;
  /** `undefined` when it cannot be loaded. */
  readonly libbpf: string | undefined;
  /** `undefined` when `ip` cannot be run. */
  readonly devices: readonly Device[] | undefined;
  readonly listeners: readonly Endpoint[];
  readonly tunnelPortInUse: boolean;
  /** Effective `rp_filter` of the tunnel device; `undefined` before it is made. */
  readonly tunnelRpFilter: number | undefined;
}

const CAP_NET_ADMIN = 12n;
const CAP_SYS_ADMIN = 21n;
const CAP_PERFMON = 38n;
const CAP_BPF = 39n;
const KERNEL_MIN = [6, 6] as const;
const LIBBPF_MIN = [1, 1] as const;
/** IPv6 guarantees 1,280 bytes to every path; less than that in the tunnel breaks clients. */
const INNER_MTU_MIN = 1_280;

/** Asks the machine, in the network namespace of this thread. */
export function machineFacts(options: DoctorOptions): MachineFacts {
  const device = options.tunnelDevice ?? 'holdfast0';
  return {
    platform: process.platform,
    endianness: endianness(),
    kernel: release(),
    hasBtf: readable('/sys/kernel/btf/vmlinux'),
    capabilities: BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(text('/proc/self/status'))?.[1] ?? '0'}`),
    pinsMounted: liesOnBpffs(options.pinDirectory ?? '/run/holdfast/bpf'),
    libbpf: libbpfVersion(),
    devices: attempt(listDevices),
    listeners: listListeners().map(({ local }) => local),
    tunnelPortInUse: udpPortInUse(options.tunnelPort ?? 4_789),
    tunnelRpFilter: rpFilter(device),
  };
}

/** Judges the facts; a core. Every check is there, whatever came out. */
export function examine(options: DoctorOptions, facts: MachineFacts): Check[] {
  const checks: Check[] = [];
  const add = (
    name: string,
    ok: boolean,
    found: string,
    needed: string,
    mend: string,
    required = true,
  ) => {
    checks.push({ name, ok, required, found, needed, mend: ok ? '' : mend });
  };
  const machine = `${facts.platform}, ${facts.endianness === 'LE' ? 'little' : 'big'}-endian`;
  const platformOk = facts.platform === 'linux' && facts.endianness === 'LE';
  add('platform', platformOk, machine, 'linux, little-endian', 'run holdfast on such a machine');
  const kernelOk = atLeast(facts.kernel, KERNEL_MIN);
  add('kernel', kernelOk, facts.kernel, '6.6 or newer (tcx)', 'boot a newer kernel');
  add(
    'kernel types (BTF)',
    facts.hasBtf,
    facts.hasBtf ? 'present' : 'absent',
    '/sys/kernel/btf/vmlinux',
    'boot a kernel built with CONFIG_DEBUG_INFO_BTF, as distributions ship',
  );
  const missing = missingCapabilities(facts.capabilities, facts.pinsMounted);
  add(
    'capabilities',
    missing.length === 0,
    missing.length === 0 ? 'sufficient' : `without ${missing.join(', ')}`,
    facts.pinsMounted
      ? 'CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN'
      : 'CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_SYS_ADMIN (to mount the directory of the pins)',
    'run as root, or give the service these capabilities',
  );
  add(
    'libbpf',
    facts.libbpf !== undefined && atLeast(facts.libbpf, LIBBPF_MIN),
    facts.libbpf ?? 'cannot be loaded',
    'libbpf.so.1, 1.1 or newer',
    'install it (Debian: apt-get install libbpf1)',
  );
  const devices = facts.devices;
  add(
    'iproute2',
    devices !== undefined,
    devices === undefined ? 'ip cannot be run' : 'present',
    'the command ip',
    'install iproute2',
  );
  if (devices !== undefined) examineDevices(options, facts, devices, add);
  for (const vip of options.vips) examineListener(vip, facts.listeners, add);
  return checks;
}

/** {@link examine} of {@link machineFacts}. */
export function doctor(options: DoctorOptions): Check[] {
  return examine(options, machineFacts(options));
}

type Add = (
  name: string,
  ok: boolean,
  found: string,
  needed: string,
  mend: string,
  required?: boolean,
) => void;

function examineDevices(
  options: DoctorOptions,
  facts: MachineFacts,
  devices: readonly Device[],
  add: Add,
): void {
  for (const name of options.uplinks) {
    const uplink = devices.find((device) => device.name === name);
    const ok = uplink?.up === true && uplink.linkType === 'ether';
    const state = uplink?.up === true ? 'up' : 'down';
    const found = uplink === undefined ? 'does not exist' : `${uplink.linkType}, ${state}`;
    add(`uplink ${name}`, ok, found, 'an Ethernet device that is up', `ip link set dev ${name} up`);
  }
  const address = canonicalAddress(options.underlay);
  const underlay = devices.find(({ addresses }) => addresses.includes(address));
  add(
    'underlay address',
    underlay !== undefined,
    underlay === undefined ? 'on no device' : `on ${underlay.name}`,
    options.underlay,
    'correct datapath.underlay, or add the address',
  );
  if (underlay !== undefined) {
    const mtuMin = INNER_MTU_MIN + tunnelOverheadBytes(isIPv6Text(options.underlay));
    add(
      'underlay MTU',
      underlay.mtuBytes >= mtuMin,
      `${underlay.mtuBytes}`,
      `${mtuMin} or more`,
      `ip link set dev ${underlay.name} mtu 1500, on every hop between the nodes`,
    );
  }
  const tunnelName = options.tunnelDevice ?? 'holdfast0';
  const tunnel = devices.find((device) => device.name === tunnelName);
  const port = options.tunnelPort ?? 4_789;
  add(
    'tunnel port',
    tunnel !== undefined || !facts.tunnelPortInUse,
    tunnel !== undefined ? `used by ${tunnelName}` : facts.tunnelPortInUse ? 'taken' : 'free',
    `UDP ${port}`,
    'stop who uses it (another VXLAN device?), or choose another datapath.tunnelPort on all nodes',
  );
  const strict = facts.tunnelRpFilter === 1;
  add(
    'reverse path filter',
    !strict,
    facts.tunnelRpFilter === undefined ? 'set at start' : `${facts.tunnelRpFilter}`,
    '0 or 2 on the tunnel device',
    `sysctl -w net.ipv4.conf.${tunnelName}.rp_filter=2`,
  );
  for (const vip of new Set(options.vips.map((one) => canonicalAddress(one.address)))) {
    const holder = devices.find(({ addresses }) => addresses.includes(vip));
    const bits = isIPv6Text(vip) ? 128 : 32;
    add(
      `address ${vip}`,
      holder !== undefined,
      holder === undefined ? 'on no device' : `on ${holder.name}`,
      'on this machine',
      `ip address add ${vip}/${bits} dev lo`,
    );
  }
}

function examineListener(vip: Endpoint, listeners: readonly Endpoint[], add: Add): void {
  const address = canonicalAddress(vip.address);
  const any = isIPv6Text(address) ? ['::'] : ['0.0.0.0', '::'];
  const ok = listeners.some(
    (one) => one.port === vip.port && (one.address === address || any.includes(one.address)),
  );
  add(
    `listener ${address} port ${vip.port}`,
    ok,
    ok ? 'listening' : 'nobody listens',
    'a server on the VIP',
    'start the server that shall answer there',
    false,
  );
}

function missingCapabilities(set: bigint, pinsMounted: boolean): string[] {
  const has = (bit: bigint) => ((set >> bit) & 1n) === 1n;
  const missing: string[] = [];
  if (!has(CAP_NET_ADMIN)) missing.push('CAP_NET_ADMIN');
  if (!has(CAP_SYS_ADMIN)) {
    if (!pinsMounted) missing.push('CAP_SYS_ADMIN');
    if (!has(CAP_BPF)) missing.push('CAP_BPF');
    if (!has(CAP_PERFMON)) missing.push('CAP_PERFMON');
  }
  return missing;
}

/** The directory itself may have to be made. */
function liesOnBpffs(directory: string): boolean {
  let place = directory;
  while (!existsSync(place) && place !== dirname(place)) place = dirname(place);
  return isBpffs(place);
}

function atLeast(version: string, least: readonly [number, number]): boolean {
  const match = /(\d+)\.(\d+)/.exec(version);
  if (match === null) return false;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > least[0] || (major === least[0] && minor >= least[1]);
}

function text(path: string): string {
  return attempt(() => readFileSync(path, 'latin1')) ?? '';
}

function readable(path: string): boolean {
  return attempt(() => accessSync(path, constants.R_OK) === undefined) ?? false;
}

/** The kernel applies the higher of the device's and everybody's. */
function rpFilter(device: string): number | undefined {
  const own = text(`/proc/sys/net/ipv4/conf/${device}/rp_filter`);
  if (own === '') return undefined;
  return Math.max(Number(own), Number(text('/proc/sys/net/ipv4/conf/all/rp_filter')));
}

function attempt<T>(question: () => T): T | undefined {
  try {
    return question();
  } catch {
    return undefined;
  }
}
