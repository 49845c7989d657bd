/**
 * The key of a flow, as the kernel, the wire and the stores see it:
 *
 *     0        16       32      34      36
 *     ┌────────┬────────┬───────┬───────┐
 *     │ client │  VIP   │ port  │ port  │   network byte order; IPv4 as ::ffff:a.b.c.d
 *     │ address│ address│ client│ VIP   │
 *     └────────┴────────┴───────┴───────┘
 *
 * In memory a key is nine 32-bit words made from those bytes in little-endian order, whatever the
 * machine, because words compare and hash faster than bytes.
 */

export const KEY_BYTES = 36;
export const KEY_WORDS = 9;

/** Nine words; see the drawing above. */
export type FlowKey = Uint32Array;

/** Bytes ::ffff:0:0/96 as words. */
const MAPPED_WORD = 0xffff_0000;

/** Reads 36 bytes at `at` into `key`. The caller has checked that they are there. */
export function readKey(bytes: Uint8Array, at: number, key: FlowKey): void {
  for (let i = 0, o = at; i < KEY_WORDS; i++, o += 4) {
    key[i] = bytes[o]! | (bytes[o + 1]! << 8) | (bytes[o + 2]! << 16) | (bytes[o + 3]! << 24);
  }
}

/** Writes 36 bytes at `at`. */
export function writeKey(key: FlowKey, bytes: Uint8Array, at: number): void {
  for (let i = 0, o = at; i < KEY_WORDS; i++, o += 4) writeWord(key[i]!, bytes, o);
}

/** Both addresses are IPv4-mapped. */
export function isMapped(key: FlowKey): boolean {
  return (
    key[2] === MAPPED_WORD &&
    key[6] === MAPPED_WORD &&
    (key[0]! | key[1]! | key[4]! | key[5]!) === 0
  );
}

/** Bytes of a key both of whose addresses are IPv4: client 4, VIP 4, ports 2 + 2. */
export const SHORT_KEY_BYTES = 12;

export function readShortKey(bytes: Uint8Array, at: number, key: FlowKey): void {
  key[0] = 0;
  key[1] = 0;
  key[2] = MAPPED_WORD;
  key[4] = 0;
  key[5] = 0;
  key[6] = MAPPED_WORD;
  key[3] = readWord(bytes, at);
  key[7] = readWord(bytes, at + 4);
  key[8] = readWord(bytes, at + 8);
}

/** The caller has checked {@link isMapped}. */
export function writeShortKey(key: FlowKey, bytes: Uint8Array, at: number): void {
  writeWord(key[3]!, bytes, at);
  writeWord(key[7]!, bytes, at + 4);
  writeWord(key[8]!, bytes, at + 8);
}

/** In how many bytes a key is sent: short when both addresses are IPv4. */
export function packedKeyBytes(key: FlowKey): number {
  return isMapped(key) ? SHORT_KEY_BYTES : KEY_BYTES;
}

/** Writes a key in `size` bytes, which are its {@link packedKeyBytes}. */
export function writePackedKey(key: FlowKey, size: number, bytes: Uint8Array, at: number): void {
  if (size === SHORT_KEY_BYTES) writeShortKey(key, bytes, at);
  else writeKey(key, bytes, at);
}

/** Reads what {@link writePackedKey} wrote. */
export function readPackedKey(bytes: Uint8Array, at: number, size: number, key: FlowKey): void {
  if (size === SHORT_KEY_BYTES) readShortKey(bytes, at, key);
  else readKey(bytes, at, key);
}

function readWord(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function writeWord(word: number, bytes: Uint8Array, at: number): void {
  bytes[at] = word;
  bytes[at + 1] = word >>> 8;
  bytes[at + 2] = word >>> 16;
  bytes[at + 3] = word >>> 24;
}

/** Hash of a key, signed 32 bits (MurmurHash3 body and finish; Appleby, public domain). */
export function keyHash(key: FlowKey, seed: number): number {
  let h = seed | 0;
  for (let i = 0; i < KEY_WORDS; i++) {
    let k = Math.imul(key[i]!, 0xcc9e2d51);
    k = (k << 15) | (k >>> 17);
    h ^= Math.imul(k, 0x1b873593);
    h = (h << 13) | (h >>> 19);
    h = (Math.imul(h, 5) + 0xe6546b64) | 0;
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/**
 * What one ticket adds (by XOR) to the digest of a set of tickets, signed 32 bits. Two nodes compare
 * such digests, so it is part of the protocol.
 */
export function ticketDigest(key: FlowKey, generation: number): number {
  return keyHash(key, Math.imul(generation, 0x9e3779b1) ^ 0x74696b74);
}

/**
 * Whether `a` was given out after `b`: serial numbers of 32 bits (RFC 1982), right while less than
 * 2^31 steps lie between.
 */
export function isNewer(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}
