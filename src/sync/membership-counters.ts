/** What membership counts. They only rise. */
export interface MembershipCounters {
  /** Claims and exchanges of authenticated nodes that could not be read. */
  claimsMalformed: number;
  claimsStale: number;
  /** Times that this node had to speak against what others said of it. */
  refutations: number;
  suspicions: number;
  /** Suspicions that ran out here. */
  deaths: number;
  protocolMismatches: number;
  tableFull: number;
  stalls: number;
  exchanges: number;
  /** Exchanges in which the views differed. */
  exchangesFull: number;
  nameConflicts: number;
}

export function membershipCounters(): MembershipCounters {
  return {
    claimsMalformed: 0,
    claimsStale: 0,
    refutations: 0,
    suspicions: 0,
    deaths: 0,
    protocolMismatches: 0,
    tableFull: 0,
    stalls: 0,
    exchanges: 0,
    exchangesFull: 0,
    nameConflicts: 0,
  };
}
