/** What a PoP's death was to its sessions. Pure. */
import { outlivesConnections } from '../scenarios/scenario.ts';
import { type Distribution, distribution } from './gaps.ts';
import type { SessionRecord } from './ledger.ts';

export interface DeathReport {
  readonly pop: string;
  readonly atMs: number;
  /** Sessions that lived when it died and ended by a reset afterwards. */
  readonly resetSessions: number;
  /** From the death until a client was told, milliseconds. */
  readonly resetAfterMs: Distribution;
  /** From the death until a connection that was begun after it was served; `null` when none was. */
  readonly servedAfterMs: number | null;
  /** From the death until a client whose connection it took was served over a new one. */
  readonly reconnectedAfterMs: Distribution;
  /** Clients that were served again. */
  readonly reconnected: number;
  /** Those of them whose TLS session was resumed. */
  readonly resumed: number;
}

const round = (ms: number) => Math.round(ms * 1_000) / 1_000;

/** @param atMs Of the death, on the clock of the sessions. */
export function deathReport(
  sessions: readonly SessionRecord[],
  atMs: number,
): Omit<DeathReport, 'pop' | 'atMs'> {
  const long = sessions.filter((session) => !outlivesConnections(session.kind));
  const resets = long.flatMap(({ end }) =>
    end !== undefined && end.how === 'reset' && end.atMs >= atMs ? [end.atMs - atMs] : [],
  );
  let served = Number.POSITIVE_INFINITY;
  for (const { kind, echoAtMs, rttMs } of sessions) {
    if (kind !== 'connect') continue;
    for (const [index, doneAtMs] of echoAtMs.entries()) {
      const begunAtMs = doneAtMs - (rttMs[index] ?? 0);
      if (begunAtMs >= atMs) served = Math.min(served, doneAtMs - atMs);
    }
  }
  // The first loss after the death is the one that it caused.
  const again = sessions.flatMap(({ reconnects }) => {
    const first = reconnects.find(({ lostAtMs }) => lostAtMs >= atMs);
    return first === undefined ? [] : [first];
  });
  return {
    resetSessions: resets.length,
    resetAfterMs: distribution(resets),
    servedAfterMs: Number.isFinite(served) ? round(served) : null,
    reconnectedAfterMs: distribution(again.map(({ servedAtMs }) => servedAtMs - atMs)),
    reconnected: again.length,
    resumed: again.filter(({ resumed }) => resumed).length,
  };
}
