/** BIRD 2 configurations of the lab: plain text made from the topology. */
import type { Family, PopPlan, Topology } from '../topology.ts';

/** Names of the protocols that {@link popConfig} defines; disabling one withdraws its route. */
export const VIP_PROTOCOL: Readonly<Record<Family, string>> = { 4: 'vip4', 6: 'vip6' };
/** The same route, announced as one that is about to go; off until the PoP is drained. */
export const DRAINED_PROTOCOL: Readonly<Record<Family, string>> = { 4: 'drained4', 6: 'drained6' };

/** GRACEFUL_SHUTDOWN: whoever hears it prefers any other route (RFC 8326, section 3.2). */
const GRACEFUL_SHUTDOWN = '(65535, 0)';

/** Seconds. Long enough that a busy machine does not look like a dead PoP. */
const HOLD_S = 30;

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
  },
): string {
  return `protocol bgp ${name} {
  local ${options.local} as ${options.localAsn};
  neighbor ${options.neighbour} as ${options.neighbourAsn};
  hold time ${HOLD_S};
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

/** The access router: takes the VIP's prefix from every PoP, tells them where the clients are. */
export function routerConfig(topology: Topology, logFile: string): string {
  const sessions = topology.pops.flatMap((pop) =>
    ([4, 6] as const).map((family) =>
      bgp(sessionName(pop, family), {
        family,
        local: pop.gateway[family],
        localAsn: topology.routerAsn,
        neighbour: pop.uplinkAddress[family],
        neighbourAsn: pop.asn,
        accept: `filter { if net != ${topology.vipPrefix[family]} then reject; if ${GRACEFUL_SHUTDOWN} ~ bgp_community then bgp_local_pref = 0; accept; }`,
        announce: 'where source = RTS_DEVICE',
      }),
    ),
  );
  const routerId = topology.pops[0]?.gateway[4] ?? '203.0.113.129';
  return `${head(logFile, routerId)}protocol direct clients { ipv4; ipv6; interface "client-*"; }
${kernel()}${sessions.join('')}`;
}

/**
 * A PoP: announces the VIP's prefix, the less preferred the longer the AS path (one prepend per
 * rank), and learns the way back to the clients.
 */
export function popConfig(topology: Topology, pop: PopPlan, logFile: string): string {
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
  announce: `filter { if source != RTS_STATIC then reject; if proto = "${DRAINED_PROTOCOL[family]}" then bgp_community.add(${GRACEFUL_SHUTDOWN}); ${prepends}accept; }`,
})}`,
  );
  return `${head(logFile, pop.uplinkAddress[4])}${kernel()}${families.join('')}`;
}
