/** Groups the ends of sessions into sentences, so that a thousand resets are one line. */
import type { SessionRecord } from './measure/ledger.ts';

export interface EndingNews {
  /** When the first of the group ended. */
  readonly atMs: number;
  readonly text: string;
}

export class Endings {
  readonly #told = new Set<string>();

  /** Sentences about the sessions that have ended since the last call, in order of time. */
  news(sessions: readonly SessionRecord[]): EndingNews[] {
    const groups = new Map<string, { count: number; atMs: number; detail: string }>();
    for (const { name, kind, end } of sessions) {
      if (end === undefined || this.#told.has(name)) continue;
      this.#told.add(name);
      const what = `${kind} ${end.how}`;
      const group = groups.get(what);
      if (group === undefined) groups.set(what, { count: 1, atMs: end.atMs, detail: end.detail });
      else {
        group.count += 1;
        if (end.atMs < group.atMs) Object.assign(group, { atMs: end.atMs, detail: end.detail });
      }
    }
    return [...groups]
      .map(([what, { count, atMs, detail }]) => ({ atMs, text: `${count} × ${what}: ${detail}` }))
      .sort((a, b) => a.atMs - b.atMs);
  }
}
