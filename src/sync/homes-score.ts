/**
 * Rendezvous scores (highest random weight: Thaler and Ravishankar, "Using name-based mappings to
 * increase hit rates", 1998). Every node must come to the same numbers for the same names, so
 * nothing here may ever depend on the process, on a seed or on the order in which nodes were met.
 */

/** Buckets of the homes table: 16 bits of the kernel's hash of a flow key. */
export const BUCKETS = 65_536;

/** Final mix of MurmurHash3 (Appleby, public domain): every input bit reaches every output bit. */
export function mix32(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** 64 bits of a node's name, as two signed halves (V8 keeps those unboxed). */
export interface NodeHash {
  readonly low: number;
  readonly high: number;
}

/** Hash of a node's name; the same in every process and version. Changing it moves every flow. */
export function nodeHash(name: string): NodeHash {
  let low = 0x9e3779b9;
  let high = 0x7f4a7c15;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193) ^ (low >>> 15);
    high = Math.imul(high ^ unit, 0x5bd1e995) ^ (high >>> 13);
  }
  low = mix32(low ^ name.length);
  high = mix32(high ^ low);
  return { low: mix32(low ^ high), high };
}

/** What a bucket contributes to its scores; computed once per row. */
export function bucketHash(bucket: number): number {
  return mix32(Math.imul(bucket + 1, 0x9e3779b1));
}

/**
 * Score of one node in one row, signed 32 bits. Takes `bucketHash(bucket)`, not the bucket, so
 * that a row of N nodes costs N+1 mixes.
 */
export function score(bucketMix: number, low: number, high: number): number {
  let h = bucketMix ^ low;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = (h + high) | 0;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
