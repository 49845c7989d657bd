/**
 * The lab's network as data: who is there, how they are joined, which address is where. Nothing
 * here touches a machine; {@link ./wiring.ts} turns it into commands.
 *
 * ```
 *   client-1 ──┐                 ┌── pop-a ──┐
 *   client-2 ──┼── router (BGP) ─┼── pop-b ──┼── backbone ──┬── origin-1
 *              ┘                 └── pop-c ──┘              └── …
 *              203.0.113.0/24 (access)        198.51.100.0/24
 * ```
 *
 * Only addresses set aside for documentation are used (RFC 5737, RFC 3849), and AS numbers of
 * RFC 5398.
 */
import { LabError } from './errors.ts';

/** IP version. */
export type Family = 4 | 6;

/** One address in each family. */
export interface Addresses {
  readonly 4: string;
  readonly 6: string;
}

export type NodeKind = 'client' | 'router' | 'pop' | 'backbone' | 'origin';

/** One network namespace. */
export interface NodePlan {
  /** `client-1`, `router`, `pop-a`: the last part of the namespace's name. */
  readonly name: string;
  readonly kind: NodeKind;
  /** Addresses with prefix length, on the loopback interface. */
  readonly loopback: readonly string[];
  /** Static routes. Those that BGP brings are not listed. */
  readonly routes: readonly { readonly to: string; readonly via: string }[];
  /** Set when this node is a switch: the bridge that joins all its links. */
  readonly bridge?: string;
}

/** One end of a link. */
export interface LinkEnd {
  readonly node: string;
  /** Name of the interface, at most 15 characters. */
  readonly interface: string;
  /** With prefix length. */
  readonly addresses: readonly string[];
}

/** What a long or bad cable does to each frame, in each direction. */
export interface Impairment {
  readonly delayMs: number;
  /** 0 to 100. */
  readonly lossPercent: number;
}

/** A distance that a scenario can change: between clients and router, or between PoPs. */
export type Span = 'clients' | 'backbone';

/** A cable between two namespaces. */
export interface LinkPlan {
  readonly ends: readonly [LinkEnd, LinkEnd];
  /** Absent for a cable without length. */
  readonly impairment?: Impairment;
  /** Which of the lab's distances this cable is part of. */
  readonly span?: Span;
}

/** What the rest of the lab needs to know of a PoP. */
export interface PopPlan {
  readonly name: string;
  /** `A`, `B` …: for people. */
  readonly label: string;
  /** 0 is the router's first choice, 1 its second, and so on. */
  readonly rank: number;
  readonly asn: number;
  /** Interface towards the router, inside the PoP. */
  readonly uplink: 'uplink';
  /** Interface towards the backbone, inside the PoP. */
  readonly underlay: 'underlay';
  readonly uplinkAddress: Addresses;
  /** The router's address on the link to this PoP. */
  readonly gateway: Addresses;
  readonly underlayAddress: Addresses;
  /** The router's interface towards this PoP. */
  readonly routerInterface: string;
}

export interface HostPlan {
  readonly name: string;
  readonly address: Addresses;
}

export interface Topology {
  readonly nodes: readonly NodePlan[];
  readonly links: readonly LinkPlan[];
  readonly routerAsn: number;
  /** The anycast address, and the prefix that is announced for it. */
  readonly vip: Addresses;
  readonly vipPrefix: Addresses;
  /** In the router's order of preference. */
  readonly pops: readonly PopPlan[];
  readonly clients: readonly HostPlan[];
  readonly origins: readonly HostPlan[];
}

export interface TopologyOptions {
  /** 2 to 8. Default 3. */
  readonly pops?: number;
  /** 1 to 8. Default 1. */
  readonly clients?: number;
  /** 1 to 8. Default 1. */
  readonly origins?: number;
  /** Between clients and router, each way. Default 0. */
  readonly delayMs?: number;
  /** Frames lost between clients and router, each way, 0 to 50. Default 0. */
  readonly lossPercent?: number;
  /** Between any two PoPs, each way; half of it between a PoP and an origin. Default 0. */
  readonly backboneDelayMs?: number;
  /** Spans whose length or loss will change later: long from the start, if only by nothing. */
  readonly changing?: Readonly<Partial<Record<Span, boolean>>>;
}

/** Of every link, bytes, unless a scenario says otherwise. */
export const LINK_MTU = 1_500;

export const DELAY_MS_MAX = 2_000;
export const LOSS_PERCENT_MAX = 50;

/** 2 to {@link POPS_MAX} PoPs: one alone has nowhere to switch to. */
export const POPS_MAX = 8;

/** Port of the VIP that HTTP servers under test serve. */
export const VIP_PORT = 80;
/** Port of the VIP for https, in labs that have it. */
export const TLS_PORT = 443;

const ROUTER_ASN = 64496;
const VIP: Addresses = { 4: '192.0.2.10', 6: '2001:db8::10' };
/** The longest prefixes that the public Internet carries. */
const VIP_PREFIX: Addresses = { 4: '192.0.2.0/24', 6: '2001:db8::/48' };

/** An address range of nobody: floods come from it, and answers to it end at the router. */
export const NOBODY: Addresses = { 4: '203.0.113.192/26', 6: '2001:db8:f::/64' };

function checkAmount(name: string, value: number, max: number): number {
  if (Number.isFinite(value) && value >= 0 && value <= max) return value;
  throw new LabError(`${name} must be a number from 0 to ${max}`, 'ERR_LAB_USAGE');
}

function impaired(
  span: Span,
  impairment: Impairment,
  changes: boolean | undefined,
): Pick<LinkPlan, 'impairment' | 'span'> {
  const { delayMs, lossPercent } = impairment;
  if (delayMs === 0 && lossPercent === 0 && changes !== true) return { span };
  return { span, impairment };
}

function checkCount(name: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new LabError(`${name} must be a whole number from ${min} to ${max}`, 'ERR_LAB_USAGE');
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

/** Client networks are 203.0.113.0/28, .16/28 … and 2001:db8:c1::/64, 2001:db8:c2::/64 … */
function clientNet(index: number) {
  const base = 16 * index;
  const net6 = `2001:db8:c${index + 1}`;
  return {
    router: { 4: `203.0.113.${base + 1}`, 6: `${net6}::1` },
    host: { 4: `203.0.113.${base + 2}`, 6: `${net6}::2` },
    bits: { 4: 28, 6: 64 },
  };
}

/** Access links of PoPs are 203.0.113.128/30, .132/30 … and 2001:db8:a1::/64 … */
function accessNet(index: number) {
  const base = 128 + 4 * index;
  const net6 = `2001:db8:a${index + 1}`;
  return {
    router: { 4: `203.0.113.${base + 1}`, 6: `${net6}::1` },
    host: { 4: `203.0.113.${base + 2}`, 6: `${net6}::2` },
    bits: { 4: 30, 6: 64 },
  };
}

const backboneAddress = (number: number): Addresses => ({
  4: `198.51.100.${number}`,
  6: `2001:db8:b::${number}`,
});

const withBits = (address: Addresses, bits: { 4: number; 6: number }) => [
  `${address[4]}/${bits[4]}`,
  `${address[6]}/${bits[6]}`,
];

const BACKBONE_BITS = { 4: 24, 6: 64 };

/**
 * The lab of the design note: clients behind one access router, PoPs that announce the same VIP,
 * a backbone that joins PoPs and origins.
 * @throws LabError `ERR_LAB_USAGE` when a count is out of bounds.
 */
export function anycastTopology(options: TopologyOptions = {}): Topology {
  const popCount = checkCount('--pops', options.pops ?? 3, 2, POPS_MAX);
  const clientCount = checkCount('clients', options.clients ?? 1, 1, 8);
  const originCount = checkCount('origins', options.origins ?? 1, 1, 8);
  const { changing } = options;
  const accessImpairment = {
    delayMs: checkAmount('--delay', options.delayMs ?? 0, DELAY_MS_MAX),
    lossPercent: checkAmount('--loss', options.lossPercent ?? 0, LOSS_PERCENT_MAX),
  };
  const access = impaired('clients', accessImpairment, changing?.clients);
  // A way between two PoPs crosses two of these cables.
  const backboneMs = checkAmount('--backbone-delay', options.backboneDelayMs ?? 0, DELAY_MS_MAX);
  const backboneImpairment = { delayMs: backboneMs / 2, lossPercent: 0 };
  const underlay = impaired('backbone', backboneImpairment, changing?.backbone);

  const nodes: NodePlan[] = [];
  const links: LinkPlan[] = [];

  const clients = numbers(clientCount).map((index): HostPlan => {
    const name = `client-${index + 1}`;
    const net = clientNet(index);
    const routes = ([4, 6] as const).map((f) => ({ to: VIP_PREFIX[f], via: net.router[f] }));
    nodes.push({ name, kind: 'client', loopback: [], routes });
    links.push({
      ends: [
        { node: name, interface: 'access', addresses: withBits(net.host, net.bits) },
        { node: 'router', interface: name, addresses: withBits(net.router, net.bits) },
      ],
      ...access,
    });
    return { name, address: net.host };
  });

  nodes.push({ name: 'router', kind: 'router', loopback: [], routes: [] });

  const pops = numbers(popCount).map((index): PopPlan => {
    const letter = String.fromCharCode(97 + index);
    const name = `pop-${letter}`;
    const net = accessNet(index);
    const underlayAddress = backboneAddress(index + 1);
    nodes.push({ name, kind: 'pop', loopback: [`${VIP[4]}/32`, `${VIP[6]}/128`], routes: [] });
    links.push({
      ends: [
        { node: name, interface: 'uplink', addresses: withBits(net.host, net.bits) },
        { node: 'router', interface: name, addresses: withBits(net.router, net.bits) },
      ],
    });
    links.push({
      ends: [
        {
          node: name,
          interface: 'underlay',
          addresses: withBits(underlayAddress, BACKBONE_BITS),
        },
        { node: 'backbone', interface: name, addresses: [] },
      ],
      ...underlay,
    });
    return {
      name,
      label: letter.toUpperCase(),
      rank: index,
      asn: ROUTER_ASN + 1 + index,
      uplink: 'uplink',
      underlay: 'underlay',
      uplinkAddress: net.host,
      gateway: net.router,
      underlayAddress,
      routerInterface: name,
    };
  });

  nodes.push({ name: 'backbone', kind: 'backbone', loopback: [], routes: [], bridge: 'backbone' });

  const origins = numbers(originCount).map((index): HostPlan => {
    const name = `origin-${index + 1}`;
    const address = backboneAddress(101 + index);
    nodes.push({ name, kind: 'origin', loopback: [], routes: [] });
    links.push({
      ends: [
        { node: name, interface: 'backbone', addresses: withBits(address, BACKBONE_BITS) },
        { node: 'backbone', interface: name, addresses: [] },
      ],
    });
    return { name, address };
  });

  return {
    nodes,
    links,
    routerAsn: ROUTER_ASN,
    vip: VIP,
    vipPrefix: VIP_PREFIX,
    pops,
    clients,
    origins,
  };
}
