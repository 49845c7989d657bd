/** How often PoPs changed what they announce, counted at the router. Pure. */
export interface AnnouncementCount {
  readonly pop: string;
  readonly updates: number;
  readonly withdrawals: number;
  /** Most of both in any minute. */
  readonly mostPerMinute: number;
}

/** What a session had received in all by then. */
export interface AnnouncementReading {
  readonly atMs: number;
  readonly updates: number;
  readonly withdrawals: number;
}

const MINUTE_MS = 60_000;

/** @param readings In order. Counters that begin anew, with a new session, count from zero. */
export function countAnnouncements(
  pop: string,
  readings: readonly AnnouncementReading[],
): AnnouncementCount {
  const changes = readings.slice(1).map((now, index) => {
    const before = readings[index]!;
    const more = (was: number, is: number) => (is < was ? is : is - was);
    return {
      atMs: now.atMs,
      updates: more(before.updates, now.updates),
      withdrawals: more(before.withdrawals, now.withdrawals),
    };
  });
  const sum = (of: (change: (typeof changes)[number]) => number) =>
    changes.reduce((total, change) => total + of(change), 0);
  let mostPerMinute = 0;
  let first = 0;
  let inWindow = 0;
  for (const { atMs, updates, withdrawals } of changes) {
    inWindow += updates + withdrawals;
    while (changes[first]!.atMs <= atMs - MINUTE_MS) {
      inWindow -= changes[first]!.updates + changes[first]!.withdrawals;
      first += 1;
    }
    mostPerMinute = Math.max(mostPerMinute, inWindow);
  }
  return {
    pop,
    updates: sum(({ updates }) => updates),
    withdrawals: sum(({ withdrawals }) => withdrawals),
    mostPerMinute,
  };
}
