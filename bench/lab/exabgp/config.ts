/** ExaBGP configurations of the lab, and what holdfast tells it. Pure. */
import type { ConfigInput } from '../../../src/config/schema.ts';
import type { PopPlan, Topology } from '../topology.ts';

type ExabgpInput = NonNullable<NonNullable<ConfigInput['announce']>['exabgp']>;

/** One session per family with the router, which connects; routes come from holdfast's program. */
export function exabgpConfig(topology: Topology, pop: PopPlan, program: readonly string[]): string {
  const sessions = ([4, 6] as const).map(
    (family) => `neighbor ${pop.gateway[family]} {
  router-id ${pop.uplinkAddress[4]};
  local-address ${pop.uplinkAddress[family]};
  local-as ${pop.asn};
  peer-as ${topology.routerAsn};
  passive true;
  hold-time 30;
  family { ipv${family} unicast; }
  api { processes [ holdfast ]; }
}
`,
  );
  return `process holdfast { run ${program.join(' ')}; encoder text; }
${sessions.join('')}`;
}

/**
 * What holdfast makes it say: the same as the lab's BIRD would, the less preferred a PoP the
 * longer its path.
 */
export function exabgpAnnouncement(topology: Topology, pop: PopPlan, socket: string): ExabgpInput {
  const path = (longerBy: number) =>
    `as-path [ ${Array.from({ length: pop.rank + 1 + longerBy }, () => pop.asn).join(' ')} ]`;
  return {
    socket,
    prefixes: [topology.vipPrefix[4], topology.vipPrefix[6]],
    attributes: {
      up: `med 100 ${path(0)}`,
      degraded: `med 200 ${path(topology.pops.length)}`,
      draining: `med 300 ${path(0)} community [65535:0]`,
    },
  };
}
