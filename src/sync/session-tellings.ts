/**
 * Former owners who do not know yet that a session was taken over. A home tells them until they say
 * that they heard it: one who was deaf at that moment would else believe for ever that it is theirs.
 */
import type { PeerIndex } from './core.ts';
import { type Precedence, supersedes } from './session-store.ts';

const TELLINGS_MAX = 4_096;
const RETRY_MS = 100;
const RETRY_MAX_MS = 5_000;
/** Then it finds out when it writes. */
const GIVE_UP_MS = 600_000;

export interface Telling extends Precedence {
  readonly to: PeerIndex;
  readonly key: string;
}

interface Entry {
  readonly telling: Telling;
  readonly untilMs: number;
  atMs: number;
  tries: number;
}

export class SessionTellings {
  /** Oldest first. */
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /**
   * To be told again until it is heard; the caller has told it once. When there are too many, the
   * oldest is given up.
   * @returns when to call {@link due}.
   */
  add(nowMs: number, telling: Telling): number {
    const name = nameOf(telling.to, telling.key);
    this.#entries.delete(name);
    const atMs = nowMs + RETRY_MS;
    this.#entries.set(name, { telling, untilMs: nowMs + GIVE_UP_MS, atMs, tries: 1 });
    if (this.#entries.size > TELLINGS_MAX) {
      this.#entries.delete(this.#entries.keys().next().value!);
    }
    return atMs;
  }

  /** It knows of that version, or of one that goes before ours. */
  heard(from: PeerIndex, key: string, version: Precedence): void {
    const name = nameOf(from, key);
    const entry = this.#entries.get(name);
    if (entry !== undefined && !supersedes(entry.telling, version)) this.#entries.delete(name);
  }

  /** That node has forgotten everything, or is forgotten. */
  forget(peer: PeerIndex): void {
    for (const [name, { telling }] of this.#entries) {
      if (telling.to === peer) this.#entries.delete(name);
    }
  }

  /**
   * Hands out what is to be told now.
   * @returns when to come again; infinite when there is nothing left to tell.
   */
  due(nowMs: number, tell: (telling: Telling) => void): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [name, entry] of this.#entries) {
      if (nowMs >= entry.untilMs) {
        this.#entries.delete(name);
        continue;
      }
      if (nowMs >= entry.atMs) {
        tell(entry.telling);
        entry.atMs = nowMs + Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** entry.tries);
        entry.tries += 1;
      }
      nextMs = Math.min(nextMs, entry.atMs);
    }
    return nextMs;
  }
}

function nameOf(peer: PeerIndex, key: string): string {
  return `${peer}:${key}`;
}
