/** What a PoP tells the router about the VIP. */
export type Announcement =
  /** The route as the topology has it. */
  | 'full'
  /** The same, as one that is about to go: any other PoP's is preferred. */
  | 'worse'
  /** Nothing. */
  | 'none';

/**
 * What each PoP must announce so that the one of rank `target` gets the traffic: it and every less
 * preferred one do (the next best stays in reserve), and none that the router would prefer.
 *
 * @returns By rank.
 */
export function announcementsFor(target: number, pops: number): Announcement[] {
  return Array.from({ length: pops }, (_, rank) => (rank >= target ? 'full' : 'none'));
}

/** Rank of the PoP that the router prefers; `undefined` when nobody announces. */
export function preferredRank(announcements: readonly Announcement[]): number | undefined {
  for (const kind of ['full', 'worse'] as const) {
    const rank = announcements.indexOf(kind);
    if (rank >= 0) return rank;
  }
  return undefined;
}
