/** Times and limits of membership. The defaults are the ones that the simulator is run with. */
export interface MembershipSettings {
  /**
   * From one probe to the next, milliseconds. Each interval a node probes its ring successor (so a
   * crash is noticed within one interval) and, half an interval later, the next of a shuffled list.
   */
  readonly probeIntervalMs: number;
  /** Shortest and longest wait for a direct answer; between them SRTT + 4 RTTVAR + a margin. */
  readonly directTimeoutMinMs: number;
  readonly directTimeoutMaxMs: number;
  /** Further wait for indirect and TCP probes, once the direct answer is late. */
  readonly indirectTimeoutMs: number;
  /** Helpers asked to probe (`k` in the SWIM paper). */
  readonly indirectProbes: number;
  /** Predecessors on the ring that check a suspicion at once instead of waiting for their turn. */
  readonly verifiers: number;
  /** Shortest suspicion: this times `max(1, log10(nodes))` probe intervals. */
  readonly suspicionMultiplier: number;
  /** Longest suspicion, in shortest ones: how long a suspicion lasts that nobody confirms. */
  readonly suspicionMaxFactor: number;
  /** Independent confirmations that bring a suspicion down to its shortest. */
  readonly confirmations: number;
  /** A suspect that others declared dead is told, and has this long to refute here. */
  readonly lastWordMs: number;
  /** Highest local health score; time-outs are multiplied by score + 1 (Lifeguard). */
  readonly awarenessMax: number;
  /** A rumour leaves a node `gossipMultiplier * ceil(log10(nodes + 1))` times. */
  readonly gossipMultiplier: number;
  readonly gossipFanout: number;
  /** Between gossip rounds while there is something to tell. */
  readonly gossipIntervalMs: number;
  /** News waits this long for company before its first round. */
  readonly gossipDelayMs: number;
  /** Most rumours waiting; the most often sent goes first. */
  readonly gossipQueueMax: number;
  /** Between full exchanges with a random node, times `log2(nodes / 32)` above 32 nodes. */
  readonly exchangeIntervalMs: number;
  /** Between probes of a random dead node, so that partitions heal. */
  readonly deadProbeIntervalMs: number;
  /** Between calls to each seed address that no live node has. */
  readonly seedIntervalMs: number;
  /** A dead or left node is remembered, and probed, this long. */
  readonly deadKeepMs: number;
  /** Dead nodes still get gossip this long, so that a wrongly accused one hears of it. */
  readonly deadGossipMs: number;
  /** A wake-up later than this is a stall of our own. */
  readonly stallMs: number;
  /** After a stall, time to read what the socket holds before anyone is judged. */
  readonly stallGraceMs: number;
  /** Negative controls for the simulator's tests. All true in production. */
  readonly refutation: boolean;
  readonly stallGuard: boolean;
  readonly exchange: boolean;
}

export const MEMBERSHIP_DEFAULTS: MembershipSettings = {
  probeIntervalMs: 1_000,
  directTimeoutMinMs: 50,
  directTimeoutMaxMs: 500,
  indirectTimeoutMs: 500,
  indirectProbes: 3,
  verifiers: 4,
  suspicionMultiplier: 2.5,
  suspicionMaxFactor: 6,
  confirmations: 3,
  lastWordMs: 400,
  awarenessMax: 8,
  gossipMultiplier: 4,
  gossipFanout: 4,
  gossipIntervalMs: 100,
  gossipDelayMs: 10,
  gossipQueueMax: 2_048,
  exchangeIntervalMs: 15_000,
  deadProbeIntervalMs: 5_000,
  seedIntervalMs: 5_000,
  deadKeepMs: 3_600_000,
  deadGossipMs: 30_000,
  stallMs: 200,
  stallGraceMs: 250,
  refutation: true,
  stallGuard: true,
  exchange: true,
};
