/** A 32-bit hash for spreading keys over origins. Not for secrets. A core. */

/** FNV-1a over UTF-16 code units (Fowler, Noll, Vo; draft-eastlake-fnv), mixed at the end. */
export function keyHash(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    const c = key.charCodeAt(i);
    hash = Math.imul(hash ^ (c & 0xff), 0x01000193);
    if (c > 0xff) hash = Math.imul(hash ^ (c >>> 8), 0x01000193);
  }
  return mixed(hash);
}

/** The finalizer of MurmurHash3 (Appleby): each bit of the input changes half of the output's. */
export function mixed(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
