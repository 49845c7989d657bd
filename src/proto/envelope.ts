/**
 * The outside of every datagram and stream record: what can be read without a key.
 *
 * ```
 *  0        1       2            6               10              16
 * +--------+-------+------------+---------------+---------------+-----------------+----------+
 * | version| kind  | label hash | session / key | counter / own | sealed …        | tag (16) |
 * |   u8   |  u8   |    u32     |     u32       |     u48       |                 |          |
 * +--------+-------+------------+---------------+---------------+-----------------+----------+
 * ```
 * - `data`: third field the receiver's session number, fourth the counter that makes nonce and replay
 *   window.
 * - `hello`: third field the id of the cluster key, fourth the caller's session number.
 * - `answer`: third field the caller's session number, fourth the answerer's.
 * `hello` and `answer` have 32 bytes of ephemeral public key between head and sealed part, and a
 * `hello` is always {@link HELLO_BYTES} long. Integers are big-endian. Everything before the sealed
 * part is authenticated with it.
 */

export const ENVELOPE_VERSION = 1;
export const ENVELOPE_HEAD_BYTES = 16;
export const TAG_BYTES = 16;
/** What an envelope adds to its content. */
export const ENVELOPE_BYTES = ENVELOPE_HEAD_BYTES + TAG_BYTES;

export const PUBLIC_KEY_BYTES = 32;
/** A caller pays in full: no answer is longer than its hello, so nothing is amplified. */
export const HELLO_BYTES = 640;

export const KIND_HELLO = 1;
export const KIND_ANSWER = 2;
export const KIND_DATA = 3;

/** Counters are 48 bits; a session is replaced long before. */
export const COUNTER_MAX = 2 ** 48 - 1;

export type EnvelopeFault = 'truncated' | 'oversized' | 'unknownVersion' | 'foreignLabel';

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  );
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Writes the 16 bytes of the head. `counter` is below 2^48. */
export function writeEnvelopeHead(
  bytes: Uint8Array,
  kind: number,
  labelHash: number,
  session: number,
  counter: number,
): void {
  bytes[0] = ENVELOPE_VERSION;
  bytes[1] = kind;
  writeU32(bytes, 2, labelHash);
  writeU32(bytes, 6, session);
  const high = Math.floor(counter / 4_294_967_296);
  bytes[10] = high >>> 8;
  bytes[11] = high;
  writeU32(bytes, 12, counter >>> 0);
}

/** Why a datagram cannot be ours, judged by its outside; `undefined` when its head is good. */
export function envelopeFault(
  bytes: Uint8Array,
  labelHash: number,
  bytesMax: number,
): EnvelopeFault | undefined {
  if (bytes.length > bytesMax) return 'oversized';
  if (bytes.length < ENVELOPE_BYTES) return 'truncated';
  if (bytes[0] !== ENVELOPE_VERSION) return 'unknownVersion';
  if (readU32(bytes, 2) !== labelHash) return 'foreignLabel';
  return undefined;
}

/** The kind; compare with `KIND_…`. Call only after {@link envelopeFault} found none. */
export function envelopeKind(bytes: Uint8Array): number {
  return bytes[1]!;
}

/** Session number of `data`, key id of `hello` and `answer`. */
export function envelopeSession(bytes: Uint8Array): number {
  return readU32(bytes, 6);
}

export function envelopeCounter(bytes: Uint8Array): number {
  return ((bytes[10]! << 8) | bytes[11]!) * 4_294_967_296 + readU32(bytes, 12);
}
