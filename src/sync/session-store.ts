/** Session records that this node keeps for others: bounded, expiring, newest version wins. */
import type { NodeHash } from './homes-score.ts';

export interface KeptSession {
  readonly version: number;
  readonly owner: NodeHash;
  readonly value: Uint8Array;
  readonly expiresAtMs: number;
  /** The owner ended it; kept a while so that an older copy cannot bring it back. */
  readonly dropped: boolean;
}

/** Bytes that a record is counted with beside its key and value. */
const OVERHEAD_BYTES = 200;

export class SessionStore {
  readonly #recordsMax: number;
  readonly #bytesMax: number;
  /** Oldest write first. */
  readonly #kept = new Map<string, KeptSession>();
  #bytes = 0;
  #evicted = 0;

  constructor(recordsMax: number, bytesMax: number) {
    this.#recordsMax = recordsMax;
    this.#bytesMax = bytesMax;
  }

  get size(): number {
    return this.#kept.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Records that had to make room for newer ones. */
  get evicted(): number {
    return this.#evicted;
  }

  get(nowMs: number, key: string): KeptSession | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined || nowMs < kept.expiresAtMs) return kept;
    this.#remove(key, kept);
    return undefined;
  }

  /** @returns false when a newer version, or the same of a node that goes before, is there. */
  put(nowMs: number, key: string, record: KeptSession): boolean {
    const known = this.get(nowMs, key);
    if (known !== undefined) {
      if (supersedes(known, record)) return false;
      this.#remove(key, known);
    }
    this.#kept.set(key, record);
    this.#bytes += sizeOf(key, record);
    while (this.#kept.size > this.#recordsMax || this.#bytes > this.#bytesMax) {
      const [oldest, victim] = this.#kept.entries().next().value!;
      this.#remove(oldest, victim);
      this.#evicted++;
    }
    return true;
  }

  /** Forgets what expired among some of the records that were written first. */
  sweep(nowMs: number, most: number): void {
    // What goes to the back would be met again.
    let left = Math.min(most, this.#kept.size);
    for (const [key, record] of this.#kept) {
      if (left-- <= 0) return;
      if (nowMs >= record.expiresAtMs) this.#remove(key, record);
      else {
        // To the back, so that the next sweep sees others. Eviction then takes the longest unseen.
        this.#kept.delete(key);
        this.#kept.set(key, record);
      }
    }
  }

  #remove(key: string, record: KeptSession): void {
    this.#kept.delete(key);
    this.#bytes -= sizeOf(key, record);
  }
}

function sizeOf(key: string, { value }: KeptSession): number {
  return OVERHEAD_BYTES + key.length * 2 + value.length;
}

/** What decides which of two records of one key stays. */
export interface Precedence {
  readonly version: number;
  readonly owner: NodeHash;
}

/**
 * Whether `a` stays when `b` comes: the higher version, and of two equal ones the same on every
 * node. False for the same version of the same owner, which is written again.
 */
export function supersedes(a: Precedence, b: Precedence): boolean {
  if (a.version !== b.version) return a.version > b.version;
  if (a.owner.high !== b.owner.high) return a.owner.high > b.owner.high;
  return a.owner.low > b.owner.low;
}
