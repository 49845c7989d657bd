/**
 * Splits, loss and partitions as nftables rule sets, and the routing tables that go with them.
 * Pure: text in, text out. Every set is one table of ours, so that removing the table undoes it.
 */
import type { ScenarioAction } from '../scenarios/scenario.ts';
import type { PopPlan, Topology } from '../topology.ts';

/** What decides, packet by packet, to which PoP the router sends it. */
export type Split = Pick<Extract<ScenarioAction, { do: 'split' }>, 'by' | 'percent'>;

/** Table in the router that marks packets, and in the client that lowers a TTL. */
export const SPLIT_TABLE = 'inet lab_split';
/** Table in PoPs that drops what the backbone is said to lose. */
export const FAULT_TABLE = 'inet lab_faults';

/** Port of the tunnel between PoPs (RFC 7348): what it carries is no mesh traffic. */
const TUNNEL_PORT = 4_789;

/** TTL of a SYN when it reaches the router, by the box on the clients' side. */
const SYN_TTL = 61;

/** Packets with this mark go to the PoP. */
export const popMark = (pop: PopPlan): number => pop.rank + 1;

const POLICY_PRIORITY = 100;
const TABLE_BASE = 1_000;

/** Lines for `ip -batch` in the router: one routing table per PoP, chosen by mark. */
export function splitRoutes(topology: Topology): string[] {
  return topology.pops.flatMap((pop) => {
    const mark = popMark(pop);
    const table = TABLE_BASE + mark;
    return ([4, 6] as const).flatMap((family) => [
      `-${family} rule add pref ${POLICY_PRIORITY + mark} fwmark ${mark} lookup ${table}`,
      `-${family} route replace ${topology.vipPrefix[family]} via ${pop.uplinkAddress[family]} dev ${pop.routerInterface} table ${table}`,
    ]);
  });
}

/** Undoes {@link splitRoutes}; lines that find nothing fail, which is to be ignored. */
export function splitRoutesRemoval(topology: Topology): string[] {
  return topology.pops.flatMap((pop) => {
    const mark = popMark(pop);
    return ([4, 6] as const).flatMap((family) => [
      `-${family} rule del pref ${POLICY_PRIORITY + mark}`,
      `-${family} route flush table ${TABLE_BASE + mark}`,
    ]);
  });
}

const SYN = 'tcp flags & (syn | ack) == syn';

/** nft commands for the router. */
export function splitRules(topology: Topology, { by, percent }: Split): string {
  const [best, next] = topology.pops;
  const toBest = `meta mark set ${popMark(best!)}`;
  const toNext = `meta mark set ${popMark(next!)}`;
  const { vip, pops } = topology;
  const v4 = `ip daddr ${vip[4]}`;
  const v6 = `ip6 daddr ${vip[6]}`;
  // A whole number in a thousand: nft knows no fractions.
  const chance =
    percent === undefined || percent >= 100
      ? ''
      : `numgen random mod 1000 < ${Math.round(percent * 10)} `;
  const anywhere =
    percent === undefined
      ? `meta mark set numgen random mod ${pops.length} offset 1`
      : `${chance}meta mark set numgen random mod ${pops.length - 1} offset 2`;
  const rules: Record<Split['by'], readonly string[]> = {
    packet: [v4, v6].map((to) => `${to} meta l4proto tcp ${anywhere}`),
    syn: [v4, v6].flatMap((to) => [`${to} meta l4proto tcp ${toNext}`, `${to} ${SYN} ${toBest}`]),
    ttl: [
      `${v4} meta l4proto tcp ${toNext}`,
      `${v6} meta l4proto tcp ${toNext}`,
      `${v4} ip ttl ${SYN_TTL} ${toBest}`,
      `${v6} ip6 hoplimit ${SYN_TTL} ${toBest}`,
    ],
    ecn: [`${v4} ip ecn != not-ect ${toNext}`, `${v6} ip6 ecn != not-ect ${toNext}`],
    errors: [`${v4} meta l4proto icmp ${toNext}`, `${v6} icmpv6 type packet-too-big ${toNext}`],
  };
  const body = rules[by].map((rule) => `    ${rule}\n`).join('');
  // The router's own errors do not pass prerouting; a chain of type route makes it look again.
  return `table ${SPLIT_TABLE} {
  chain forwarded {
    type filter hook prerouting priority mangle; policy accept;
${body}  }
  chain own {
    type route hook output priority mangle; policy accept;
${by === 'errors' ? body : ''}  }
}
`;
}

/** nft commands for the clients' side of the router: the box that lowers the TTL of SYNs. */
export function ttlBoxRules(): string {
  return `table ${SPLIT_TABLE} {
  chain box {
    type filter hook output priority mangle; policy accept;
    ${SYN} ip ttl set ${SYN_TTL}
    ${SYN} ip6 hoplimit set ${SYN_TTL}
  }
}
`;
}

/** nft commands for one PoP: which of the other PoPs' packets do not arrive on the backbone. */
export function backboneRules(
  topology: Topology,
  pop: PopPlan,
  fault: { readonly lossPercent?: number; readonly cutOff?: readonly number[] },
): string {
  const addresses = (ranks: readonly PopPlan[], family: 4 | 6) =>
    ranks.map((other) => other.underlayAddress[family]).join(', ');
  const others = topology.pops.filter((other) => other.rank !== pop.rank);
  const cutOff = fault.cutOff ?? [];
  const lost = others.filter((other) => cutOff.includes(other.rank) !== cutOff.includes(pop.rank));
  const drop = (from: readonly PopPlan[], what: string) =>
    from.length === 0
      ? ''
      : `    iifname "${pop.underlay}" ip saddr { ${addresses(from, 4)} } ${what}drop
    iifname "${pop.underlay}" ip6 saddr { ${addresses(from, 6)} } ${what}drop
`;
  const { lossPercent = 0 } = fault;
  // nft takes no comparison that is always true.
  const chance = lossPercent >= 100 ? '' : `numgen random mod 100 < ${lossPercent} `;
  const lossy =
    lossPercent === 0
      ? ''
      : drop(others, `udp dport != ${TUNNEL_PORT} ${chance}`) +
        drop(others, `meta l4proto tcp ${chance}`);
  return `table ${FAULT_TABLE} {
  chain backbone {
    type filter hook prerouting priority raw; policy accept;
${drop(lost, '')}${lossy}  }
}
`;
}
