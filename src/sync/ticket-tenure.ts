/** All flow tickets of one boot of one owner: their lists by bucket and the digests of those lists. */
import type { PeerIndex } from './core.ts';
import { NONE } from './ticket-columns.ts';

/** Digests that are compared first: one per this many equal parts of the buckets. */
export const GROUPS = 64;

/** The lists of every owner without tickets. Never written. */
const NO_HEADS = new Int32Array(GROUPS).fill(NONE);
const NO_COUNTS = new Uint32Array(GROUPS);
const NO_DIGESTS = new Int32Array(GROUPS);

/**
 * - `live`: its tickets answer.
 * - `paused`: the owner is dead or gone for now. Nothing answers, everything is kept in case it
 *   comes back with the same boot.
 * - `void`: nothing answers, the memory is being taken back.
 */
export type TenureState = 'live' | 'paused' | 'void';

export class Tenure {
  /** Number in the `tenure` column. */
  readonly id: number;
  readonly peer: PeerIndex;
  readonly boot: number;
  state: TenureState = 'live';
  count = 0;
  /** Tickets that had to make room for others. While it grows, repair would be in vain. */
  evicted = 0;
  /** A chain holds `buckets / chains` neighbouring buckets. */
  readonly chains: number;
  /** Read at any time, write only after {@link open}. */
  heads: Int32Array;
  counts: Uint32Array;
  /** XOR of `ticketDigest` over the chain. */
  digests: Int32Array;
  readonly #shift: number;

  /** @param chains {@link GROUPS} for another owner's tickets, one per bucket for one's own. */
  constructor(id: number, peer: PeerIndex, boot: number, chains: number, buckets: number) {
    this.id = id;
    this.peer = peer;
    this.boot = boot;
    this.chains = chains;
    this.heads = NO_HEADS;
    this.counts = NO_COUNTS;
    this.digests = NO_DIGESTS;
    if (chains !== GROUPS) this.open();
    this.#shift = Math.log2(buckets / chains);
  }

  /** Before the first ticket: most owners in a large mesh keep none here. */
  open(): void {
    if (this.heads !== NO_HEADS) return;
    this.heads = new Int32Array(this.chains).fill(NONE);
    this.counts = new Uint32Array(this.chains);
    this.digests = new Int32Array(this.chains);
  }

  chainOf(bucket: number): number {
    return bucket >>> this.#shift;
  }
}
