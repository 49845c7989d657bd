/**
 * The datapath of one node: programs in the kernel, and their maps. The programs work on without
 * this process; a later one takes them over. See docs/design/datapath.md.
 */
import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalAddress, type Endpoint, flowKey, isIPv6Text } from './address-bytes.ts';
import { ensureBpffs, releaseBpffs, removePinsExcept } from './bpffs.ts';
import { ConfigRegister } from './config-register.ts';
import { DatapathError } from './datapath-error.ts';
import { EventRing } from './event-ring.ts';
import { KernelHomes } from './homes-table.ts';
import { attachHook, attachTracepoint, detachOthers, type Hook } from './hooks.ts';
import { type Device, listDevices } from './iproute.ts';
import { KernelObject } from './kernel-object.ts';
import { COOKIE_MAX, LAYOUT } from './layout.ts';
import { netnsCookie } from './network-namespace.ts';
import { NodeTable } from './node-table.ts';
import { OwnFlows } from './own-flows.ts';
import { listConnections } from './socket-list.ts';
import { TicketTable } from './ticket-table.ts';
import { Tracer } from './tracer.ts';
import {
  ensureTunnel,
  INNER_MAC,
  removeTunnel,
  TUNNEL_MAC,
  tunnelOverheadBytes,
} from './tunnel-device.ts';
import {
  otherCounters,
  type PerCpuCounts,
  verdictCounters,
  wayCounters,
} from './verdict-counters.ts';
import type { CountName, VerdictName, WayName } from './verdicts.ts';
import { VipSet } from './vip-set.ts';

export interface DatapathOptions {
  /** Devices that clients' packets come in by. Ethernet. */
  readonly uplinks: readonly string[];
  /** Address of this node's end of the tunnel; all nodes use the same family. */
  readonly underlay: string;
  readonly vips: readonly Endpoint[];
  /** 22 bits, the same on all nodes. Finds mistakes of wiring; it is no protection. */
  readonly cookie: number;
  /** 32 bits, secret to the cluster, the same on all nodes: it decides every flow's bucket. */
  readonly hashSeed: number;
  /**
   * Directory of the pins. Default `/run/holdfast/bpf`. A BPF file system is mounted there unless it
   * is on one.
   */
  readonly pinDirectory?: string;
  /** Name of the tunnel device. Default `holdfast0`. */
  readonly tunnelDevice?: string;
  /** UDP port of the tunnel, the same on all nodes. Default 4789. */
  readonly tunnelPort?: number;
  /** An unknown flow is searched for this long before its reset. Default 500. */
  readonly graceMs?: number;
  /** Most tickets of other nodes; the least used make room. 121 bytes each, allocated at the start. Default 524,288. */
  readonly ticketsMax?: number;
  /** Most connections of this node with a ticket. 113 bytes each, like those. Default 262,144. */
  readonly ownFlowsMax?: number;
  /** Bytes of the event ring, a power of two. Default 8 MiB. */
  readonly ringBytes?: number;
  /** FIND packets a second and processor. Default 50,000. */
  readonly findsPerSecond?: number;
  /** Search events a second and processor. Default 2,000. */
  readonly searchesPerSecond?: number;
  /** Half-open tickets told a second and processor. Default 20,000. */
  readonly birthsPerSecond?: number;
}

const DEFAULTS = {
  pinDirectory: '/run/holdfast/bpf',
  tunnelDevice: 'holdfast0',
  tunnelPort: 4_789,
  graceMs: 500,
  ticketsMax: 524_288,
  ownFlowsMax: 262_144,
  ringBytes: 8 << 20,
  findsPerSecond: 50_000,
  searchesPerSecond: 2_000,
  birthsPerSecond: 20_000,
} as const;

/** A first miss older than this says nothing about the flow that uses the ports now. */
const FORGET_MS = 10_000;
/** Generation of flows older than the datapath; those born under it count on from here. */
const ADOPTED = 1;
/** First misses remembered. */
const MISSES_MAX = 65_536;
/** The kernel counts in windows of 2^24 ns. */
const WINDOWS_PER_SECOND = 1e9 / 2 ** 24;

const LAYOUT_NAME = `v${LAYOUT}`;

/** Where a layout's pins are. */
function layoutDirectory(pinDirectory: string): string {
  return join(pinDirectory, LAYOUT_NAME);
}

export class Datapath {
  readonly options: Readonly<Required<DatapathOptions>>;
  readonly nodes: NodeTable;
  readonly homes: KernelHomes;
  readonly tickets: TicketTable;
  readonly events: EventRing;
  readonly own: OwnFlows;
  readonly tracer: Tracer;
  readonly vips: VipSet;
  readonly verdicts: PerCpuCounts<VerdictName>;
  /** Packets sent into the tunnel, by how they got there. */
  readonly ways: PerCpuCounts<WayName>;
  readonly counts: PerCpuCounts<CountName>;
  /**
   * True when an earlier agent's state was found: its tickets, its own flows and its boot go on.
   */
  readonly inherited: boolean;
  readonly #config: ConfigRegister;
  readonly #object: KernelObject;
  #self = 0;
  #closed = false;

  private constructor(options: Readonly<Required<DatapathOptions>>, object: KernelObject) {
    this.options = options;
    this.#object = object;
    this.inherited = object.inherited;
    const map = object.map.bind(object);
    this.#config = new ConfigRegister(map('hf_config'));
    this.nodes = new NodeTable(map('hf_nodes'), map('hf_members'));
    this.homes = new KernelHomes(map('hf_homes'), this.#config);
    this.tickets = new TicketTable(map('hf_tickets'), (slot) => this.nodes.bootOf(slot));
    this.events = new EventRing(map('hf_events'), object.entries('hf_events'));
    this.own = new OwnFlows(map('hf_own'));
    this.tracer = new Tracer(object.program('hf_trace'));
    this.vips = new VipSet(map('hf_vips'), this.#config);
    this.verdicts = verdictCounters(map('hf_verdicts'));
    this.ways = wayCounters(map('hf_ways'));
    this.counts = otherCounters(map('hf_counts'));
  }

  /**
   * Sets the node up and puts the programs in place, or takes an earlier agent's over in place:
   * flows that are being healed notice nothing. Connections that were there before the first start
   * get tickets too; read {@link own} to publish them.
   * Must be called in the network namespace that it shall work in.
   * @throws DatapathError; then an earlier agent's datapath stays in place, and a new one is gone.
   */
  static start(given: DatapathOptions): Datapath {
    const options = { ...DEFAULTS, ...given };
    checkOptions(options);
    const devices = listDevices();
    const uplinks = options.uplinks.map((name) => deviceNamed(devices, name));
    const underlay = deviceWith(devices, options.underlay);
    let datapath: Datapath | undefined;
    try {
      ensureBpffs(options.pinDirectory);
      const object = KernelObject.load(layoutDirectory(options.pinDirectory), {
        hf_tickets: options.ticketsMax,
        hf_own: options.ownFlowsMax,
        hf_misses: MISSES_MAX,
        hf_events: options.ringBytes,
      });
      datapath = new Datapath(options, object);
      const tunnel = ensureTunnel({ device: options.tunnelDevice, port: options.tunnelPort });
      datapath.#configure(tunnel, underlay, uplinks);
      datapath.#attach(tunnel, underlay, uplinks);
      // The programs of another layout healed until now; from here on ours do.
      removePinsExcept(options.pinDirectory, LAYOUT_NAME);
      if (!datapath.inherited) datapath.#adopt();
      return datapath;
    } catch (error) {
      datapath?.close();
      // What an earlier agent left still heals: only what is new is taken away again.
      if (datapath?.inherited !== true) removeNew(options);
      throw error;
    }
  }

  /** Names one life of this node's datapath; a new one voids every older flow ticket. */
  get boot(): number {
    return this.#config.get('boot');
  }

  /** Slot of this node. */
  get self(): number {
    return this.#self;
  }

  /** How long unknown flows wait; raise it while members are unreachable. In force at once. */
  set graceMs(value: number) {
    this.#config.set('grace_ms', value);
  }

  get graceMs(): number {
    return this.#config.get('grace_ms');
  }

  /** Lets go of the kernel's state, which stays and works on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.events.close();
    this.homes.close();
    this.nodes.close();
    this.#config.close();
    this.#object.close();
  }

  /** Closes, and takes everything away: links, maps, tunnel device, mount. */
  remove(): void {
    this.close();
    removeDatapath(this.options);
  }

  #configure(tunnel: Device, underlay: Device, uplinks: readonly Device[]): void {
    const { options } = this;
    const config = this.#config;
    const underlay6 = isIPv6Text(options.underlay);
    const room = underlay.mtuBytes - tunnelOverheadBytes(underlay6);
    const perWindow = (rate: number) => Math.max(1, Math.ceil(rate / WINDOWS_PER_SECOND));
    if (!this.inherited) {
      this.homes.reset();
      config.set('boot', randomInt(1, 2 ** 32));
      config.set('generation', ADOPTED);
    }
    config.setNetnsCookie(netnsCookie());
    config.set('tunnel_ifindex', tunnel.ifindex);
    config.set('cookie', options.cookie);
    config.set('hash_seed', options.hashSeed);
    config.set('grace_ms', options.graceMs);
    config.set('forget_ms', FORGET_MS);
    config.set('finds_max', perWindow(options.findsPerSecond));
    config.set('searches_max', perWindow(options.searchesPerSecond));
    config.set('births_max', perWindow(options.birthsPerSecond));
    config.set('mss4', room - 40);
    config.set('mss6', room - 60);
    config.set('tunnel_port', options.tunnelPort);
    config.set('underlay6', underlay6 ? 1 : 0);
    config.set('shared_uplink', uplinks.includes(underlay) ? 1 : 0);
    const [sourceMin, sourceMax] = localPorts();
    config.set('source_min', sourceMin);
    config.set('source_span', sourceMax - sourceMin);
    config.setMac('tunnel_mac', TUNNEL_MAC);
    config.setMac('inner_mac', INNER_MAC);
    const self = { address: options.underlay, boot: this.boot, state: 'self' } as const;
    this.#self = this.nodes.place(self);
    config.set('self', this.#self);
    this.vips.replace(options.vips);
  }

  #attach(tunnel: Device, underlay: Device, uplinks: readonly Device[]): void {
    const directory = layoutDirectory(this.options.pinDirectory);
    mkdirSync(directory, { recursive: true });
    const program = this.#object.program.bind(this.#object);
    const hooks: Hook[] = uplinks.flatMap(({ name, ifindex }) => [
      {
        name: `link-uplink-${name}`,
        program: program('hf_uplink'),
        ifindex,
        direction: 'ingress' as const,
      },
      {
        name: `link-away-${name}`,
        program: program('hf_away'),
        ifindex,
        direction: 'egress' as const,
      },
    ]);
    // Without Ethernet there is nothing to learn: all packets take the tunnel device.
    if (underlay.linkType === 'ether' && !uplinks.includes(underlay)) {
      hooks.push({
        name: `link-under-${underlay.name}`,
        program: program('hf_under'),
        ifindex: underlay.ifindex,
        direction: 'egress',
      });
    }
    // Who relays must be able to receive first.
    hooks.unshift({
      name: 'link-tunnel',
      program: program('hf_tunnel'),
      ifindex: tunnel.ifindex,
      direction: 'ingress',
    });
    attachTracepoint(directory, 'link-state', program('hf_state'));
    for (const hook of hooks) attachHook(directory, hook);
    detachOthers(directory, new Set(['link-state', ...hooks.map(({ name }) => name)]));
  }

  /** Connections older than the datapath. Those that close meanwhile are taken back at once. */
  #adopt(): void {
    const vips = new Set(
      this.options.vips.map(({ address, port }) => `${canonicalAddress(address)} ${port}`),
    );
    for (const { local, remote } of listConnections()) {
      if (!vips.has(`${local.address} ${local.port}`)) continue;
      const key = flowKey(remote, local);
      if (!this.own.adopt(key, this.tracer.bucketOf(key), ADOPTED)) continue;
      if (this.tracer.holds(key) === undefined) this.own.remove(key);
    }
  }
}

/**
 * Takes away what {@link Datapath.start} made, with or without a running agent: links first, so
 * packets go their old way, then maps, tunnel device and mount.
 */
export function removeDatapath(
  options: Pick<DatapathOptions, 'pinDirectory' | 'tunnelDevice'>,
): void {
  const pinDirectory = options.pinDirectory ?? DEFAULTS.pinDirectory;
  removePinsExcept(pinDirectory, undefined);
  removeTunnel(options.tunnelDevice ?? DEFAULTS.tunnelDevice);
  releaseBpffs(pinDirectory);
}

/** After a start that failed. Pins of an earlier agent whose programs could not be loaded stay. */
function removeNew(options: Required<DatapathOptions>): void {
  if (existsSync(join(layoutDirectory(options.pinDirectory), 'link-state'))) return;
  removeDatapath(options);
}

function checkOptions(options: Required<DatapathOptions>): void {
  const integer = (name: keyof DatapathOptions, min: number, max: number) => {
    const value = options[name];
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max)
      return;
    const text = `datapath option ${name} is ${String(value)}; it must be from ${min} to ${max}`;
    throw new DatapathError('ERR_DATAPATH_ARGUMENT', text);
  };
  integer('cookie', 0, COOKIE_MAX);
  integer('hashSeed', 0, 2 ** 32 - 1);
  integer('tunnelPort', 1, 65_535);
  integer('graceMs', 0, 60_000);
  integer('ticketsMax', 1_024, 2 ** 26);
  integer('ownFlowsMax', 1_024, 2 ** 26);
  integer('findsPerSecond', 1, 2 ** 31);
  integer('searchesPerSecond', 1, 2 ** 31);
  integer('birthsPerSecond', 1, 2 ** 31);
  integer('ringBytes', 4_096, 2 ** 28);
  if ((options.ringBytes & (options.ringBytes - 1)) !== 0) {
    throw new DatapathError('ERR_DATAPATH_ARGUMENT', 'ringBytes must be a power of two');
  }
  for (const { address } of options.vips) canonicalAddress(address);
  if (options.uplinks.length === 0) {
    throw new DatapathError('ERR_DATAPATH_ARGUMENT', 'the datapath needs an uplink');
  }
}

/** The tunnel device takes its source ports from here; packets we wrap ourselves must not differ. */
function localPorts(): [number, number] {
  const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1');
  const [min = 0, max = 0] = text.trim().split(/\s+/).map(Number);
  return [min, max];
}

function deviceNamed(devices: readonly Device[], name: string): Device {
  const device = devices.find((candidate) => candidate.name === name);
  if (device?.linkType === 'ether') return device;
  const why = device === undefined ? 'does not exist' : `is no Ethernet (${device.linkType})`;
  throw new DatapathError('ERR_DATAPATH_ARGUMENT', `uplink ${name} ${why}`);
}

function deviceWith(devices: readonly Device[], address: string): Device {
  const device = devices.find(({ addresses }) => addresses.includes(canonicalAddress(address)));
  if (device !== undefined) return device;
  throw new DatapathError('ERR_DATAPATH_ARGUMENT', `no device has the underlay address ${address}`);
}
