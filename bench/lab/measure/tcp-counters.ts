/** The kernel's TCP counters of a namespace, as `/proc/net/snmp` prints them (RFC 4022 names). */
export interface TcpCounters {
  /** Segments sent again. */
  readonly retransmits: number;
  /** Segments sent with RST set. */
  readonly resetsSent: number;
}

/**
 * Reads the two `Tcp:` lines, names and values. Counters that are missing count as 0. Never
 * throws. IPv6 is included: the kernel counts TCP once for both families.
 */
export function parseTcpCounters(text: string): TcpCounters {
  const [names, values] = text
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
    .map((line) => line.trim().split(/\s+/));
  const value = (name: string): number => {
    const index = names?.indexOf(name) ?? -1;
    const number = index < 0 ? Number.NaN : Number(values?.[index]);
    return Number.isSafeInteger(number) && number >= 0 ? number : 0;
  };
  return { retransmits: value('RetransSegs'), resetsSent: value('OutRsts') };
}

/** What was counted between two readings. */
export function countedBetween(before: TcpCounters, after: TcpCounters): TcpCounters {
  return {
    retransmits: Math.max(0, after.retransmits - before.retransmits),
    resetsSent: Math.max(0, after.resetsSent - before.resetsSent),
  };
}
