/** BIRD 2 configurations of the lab: plain text made from the topology. */
import { MARKER_DEVICES, MARKER_GATEWAYS } from '../../../src/announce/marker.ts';
import type { Family, PopPlan, Topology } from '../topology.ts';

/** Names of the protocols that {@link popConfig} defines; disabling one withdraws its route. */
export const VIP_PROTOCOL: Readonly<Record<Family, string>> = { 4: 'vip4', 6: 'vip6' };
/** The same route, announced as one that is about to go; off until the PoP is drained. */
export const DRAINED_PROTOCOL: Readonly<Record<Family, string>> = { 4: 'drained4', 6: 'drained6' };
/** What holdfast announces: the same route by way of its marker. */
const HOLDFAST_PROTOCOL: Readonly<Record<Family, string>> = { 4: 'holdfast4', 6: 'holdfast6' };

/** GRACEFUL_SHUTDOWN: whoever hears it prefers any other route (RFC 8326, section 3.2). */
const GRACEFUL_SHUTDOWN = '(65535, 0)';

/** Where an ExaBGP on a PoP listens for the router: BIRD has the usual port. */
export const EXABGP_PORT = 1_790;

/** How the lab's routing daemons are set up beyond the topology. */
export interface RoutingOptions {
  /** Interval of BFD between PoPs and router; 0 for none. Default 0. */
  readonly bfdMs?: number | undefined;
  /**
   * Who may announce beside the lab: holdfast by way of BIRD, or by an ExaBGP on each PoP that
   * speaks to the router, too. Default `lab`: nobody.
   */
  readonly announcing?: 'lab' | 'bird' | 'exabgp' | undefined;
}

/** So many silent intervals are a death. */
const BFD_MULTIPLIER = 5;

/** Seconds. Long enough that a busy machine does not look like a dead PoP. */
const HOLD_S = 30;

/** Name of the router's session with a PoP's ExaBGP. */
export const exabgpSessionName = (pop: PopPlan, family: Family): string =>
  `exabgp_${sessionName(pop, family)}`;

/** Name of a PoP's BGP session in the router. */
export const sessionName = (pop: PopPlan, family: Family): string =>
  `${pop.name.replaceAll('-', '_')}_${family}`;

function head(logFile: string, routerId: string): string {
  return `log "${logFile}" all;
router id ${routerId};
debug protocols { states };
protocol device { scan time 60; }
`;
}

/** Routes learnt by BGP go to the kernel; nothing is read from it. */
function kernel(): string {
  return ([4, 6] as const)
    .map(
      (family) => `protocol kernel kernel${family} {
  ipv${family} { import none; export where source = RTS_BGP; };
}
`,
    )
    .join('');
}

function bgp(
  name: string,
  options: {
    family: Family;
    local: string;
    localAsn: number;
    neighbour: string;
    neighbourAsn: number;
    accept: string;
    announce: string;
    /** Port of the neighbour. Default 179. */
    port?: number;
    /** Waits for the neighbour to connect. */
    passive?: boolean;
    bfd?: boolean;
  },
): string {
  const port = options.port === undefined ? '' : ` port ${options.port}`;
  return `protocol bgp ${name} {
  local ${options.local} as ${options.localAsn};
  neighbor ${options.neighbour}${port} as ${options.neighbourAsn};
${options.passive === true ? '  passive;\n' : ''}${options.bfd === true ? '  bfd on;\n' : ''}  hold time ${HOLD_S};
  connect delay time 0;
  connect retry time 1;
  error wait time 1, 1;
  ipv${options.family} {
    import ${options.accept};
    export ${options.announce};
  };
}
`;
}

function bfd(device: string, everyMs: number): string {
  if (everyMs === 0) return '';
  return `protocol bfd {
  interface "${device}" { interval ${everyMs} ms; idle tx interval ${everyMs} ms; multiplier ${BFD_MULTIPLIER}; };
}
`;
}

/** The access router: takes the VIP's prefix from every PoP, tells them where the clients are. */
export function routerConfig(
  topology: Topology,
  logFile: string,
  { bfdMs = 0, announcing = 'lab' }: RoutingOptions = {},
): string {
  const sessions = topology.pops.flatMap((pop) =>
    ([4, 6] as const).flatMap((family) => {
      const session = {
        family,
        local: pop.gateway[family],
        localAsn: topology.routerAsn,
        neighbour: pop.uplinkAddress[family],
        neighbourAsn: pop.asn,
        accept: `filter { if net != ${topology.vipPrefix[family]} then reject; if ${GRACEFUL_SHUTDOWN} ~ bgp_community then bgp_local_pref = 0; accept; }`,
        announce: 'where source = RTS_DEVICE',
      };
      const bird = bgp(sessionName(pop, family), { ...session, bfd: bfdMs > 0 });
      if (announcing !== 'exabgp') return [bird];
      const other = { ...session, announce: 'none', port: EXABGP_PORT };
      return [bird, bgp(exabgpSessionName(pop, family), other)];
    }),
  );
  const routerId = topology.pops[0]?.gateway[4] ?? '203.0.113.129';
  return `${head(logFile, routerId)}protocol direct clients { ipv4; ipv6; interface "client-*"; }
${kernel()}${bfd('pop-*', bfdMs)}${sessions.join('')}`;
}

/**
 * What holdfast's routes look like to the router: the marker's device says which state. MED does
 * not count between PoPs, which are different networks, so that a longer path says "degraded".
 */
function holdfastRoutes(topology: Topology, pop: PopPlan): string {
  const statics = ([4, 6] as const).map(
    (family) => `protocol static ${HOLDFAST_PROTOCOL[family]} {
  ipv${family};
  route ${topology.vipPrefix[family]} via ${MARKER_GATEWAYS[family]};
}
`,
  );
  const longer = `bgp_path.prepend(${pop.asn}); `.repeat(topology.pops.length);
  return `${statics.join('')}function holdfast() {
  if ifname = "${MARKER_DEVICES.up}" then { bgp_med = 100; return true; }
  if ifname = "${MARKER_DEVICES.degraded}" then { bgp_med = 200; ${longer}return true; }
  if ifname = "${MARKER_DEVICES.draining}" then { bgp_med = 300; bgp_community.add(${GRACEFUL_SHUTDOWN}); return true; }
  return false;
}
`;
}

/**
 * A PoP: announces the VIP's prefix, the less preferred the longer the AS path (one prepend per
 * rank), and learns the way back to the clients.
 */
export function popConfig(
  topology: Topology,
  pop: PopPlan,
  logFile: string,
  { bfdMs = 0, announcing = 'lab' }: RoutingOptions = {},
): string {
  const own = announcing === 'bird' ? holdfastRoutes(topology, pop) : '';
  const prepends = `bgp_path.prepend(${pop.asn}); `.repeat(pop.rank);
  const families = ([4, 6] as const).map(
    (family) => `protocol static ${VIP_PROTOCOL[family]} {
  ipv${family};
  route ${topology.vipPrefix[family]} blackhole;
}
protocol static ${DRAINED_PROTOCOL[family]} {
  disabled;
  ipv${family} { preference 90; };
  route ${topology.vipPrefix[family]} blackhole;
}
${bgp(`router${family}`, {
  family,
  local: pop.uplinkAddress[family],
  localAsn: pop.asn,
  neighbour: pop.gateway[family],
  neighbourAsn: topology.routerAsn,
  accept: 'all',
  announce: `filter { if source != RTS_STATIC then reject; if proto = "${DRAINED_PROTOCOL[family]}" then bgp_community.add(${GRACEFUL_SHUTDOWN}); ${own === '' ? '' : `if proto = "${HOLDFAST_PROTOCOL[family]}" then { if ! holdfast() then reject; } `}${prepends}accept; }`,
  bfd: bfdMs > 0,
  // Of two neighbours with one address the router could not tell who calls.
  passive: announcing === 'exabgp',
})}`,
  );
  return `${head(logFile, pop.uplinkAddress[4])}${kernel()}${bfd('uplink', bfdMs)}${own}${families.join('')}`;
}
