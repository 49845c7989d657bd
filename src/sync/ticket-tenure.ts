/** All flow tickets of one boot of one owner: their lists by bucket and the digests of those lists. */
import type { PeerIndex } from './core.ts';
import { NONE } from './ticket-columns.ts';

/** Digests that are compared first: one per this many equal parts of the buckets. */
export const GROUPS = 64;

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
  readonly heads: Int32Array;
  readonly counts: Uint32Array;
  /** XOR of `ticketDigest` over the chain. */
  readonly digests: Int32Array;
  readonly #shift: number;

  /** @param chains {@link GROUPS} for another owner's tickets, one per bucket for one's own. */
  constructor(id: number, peer: PeerIndex, boot: number, chains: number, buckets: number) {
    this.id = id;
    this.peer = peer;
    this.boot = boot;
    this.chains = chains;
    this.heads = new Int32Array(chains).fill(NONE);
    this.counts = new Uint32Array(chains);
    this.digests = new Int32Array(chains);
    this.#shift = Math.log2(buckets / chains);
  }

  chainOf(bucket: number): number {
    return bucket >>> this.#shift;
  }
}
