/**
 * Messages of anti-entropy between an owner and a home. All numbers in network byte order; bytes
 * after what is drawn are ignored.
 *
 *     digest    u32 stream │ u32 sequence │ u32 table │ 64-bit map of groups │ (u32 count, u32 hash) …
 *     reply     u32 stream │ u32 sequence │ u8 status │ if "differs": u8 group │ u8 cells │ (count, hash) …
 *               │ u32 echo (since protocol 2)
 *     snapshot  u32 stream │ u32 sequence │ u32 table │ u32 generation
 *               │ u32 first bucket │ u32 buckets │ u8 flags │ part
 *
 * A group is a 64th of the buckets, a cell a 64th of a group (one bucket, when there are fewer). A
 * digest covers the owner's tickets in the buckets that the home keeps for it.
 */
import { readU32, writeU32 } from './ticket-bytes.ts';
import { partEnd } from './ticket-part.ts';

export const DIGEST_GROUPS = 64;
const DIGEST_HEAD_BYTES = 20;
const REPLY_HEAD_BYTES = 9;
export const SNAPSHOT_HEAD_BYTES = 25;

/** Count and hash of each group or cell. Zero count means zero hash. */
export interface Digests {
  readonly counts: Uint32Array;
  /** XOR of `ticketDigest`. */
  readonly hashes: Int32Array;
}

export function emptyDigests(cells = DIGEST_GROUPS): Digests {
  return { counts: new Uint32Array(cells), hashes: new Int32Array(cells) };
}

export interface DigestMessage extends Digests {
  readonly stream: number;
  /** Last frame sent before the digest was made. */
  readonly sequence: number;
  /** `Homes.hash` of the owner. */
  readonly table: number;
}

/** @returns bytes written; room for 532 is the caller's duty. */
export function writeDigest(bytes: Uint8Array, message: DigestMessage): number {
  writeU32(bytes, 0, message.stream);
  writeU32(bytes, 4, message.sequence);
  writeU32(bytes, 8, message.table);
  writeU32(bytes, 12, 0);
  writeU32(bytes, 16, 0);
  let o = DIGEST_HEAD_BYTES;
  for (let group = 0; group < DIGEST_GROUPS; group++) {
    if (message.counts[group] === 0) continue;
    bytes[12 + (group >>> 3)]! |= 0x80 >>> (group & 7);
    writeU32(bytes, o, message.counts[group]!);
    writeU32(bytes, o + 4, message.hashes[group]!);
    o += 8;
  }
  return o;
}

/** Digests are read by the thousand and compared at once. */
const read = emptyDigests();

/** The digests of what it returns are valid until the next call. */
export function readDigest(bytes: Uint8Array): DigestMessage | undefined {
  if (bytes.length < DIGEST_HEAD_BYTES) return undefined;
  const { counts, hashes } = read;
  let o = DIGEST_HEAD_BYTES;
  for (let group = 0; group < DIGEST_GROUPS; group++) {
    if ((bytes[12 + (group >>> 3)]! & (0x80 >>> (group & 7))) === 0) {
      counts[group] = 0;
      hashes[group] = 0;
      continue;
    }
    if (o + 8 > bytes.length) return undefined;
    counts[group] = readU32(bytes, o);
    hashes[group] = readU32(bytes, o + 4);
    o += 8;
  }
  return {
    stream: readU32(bytes, 0),
    sequence: readU32(bytes, 4),
    table: readU32(bytes, 8),
    counts,
    hashes,
  };
}

/**
 * - `equal`: nothing to mend.
 * - `busy`: not comparable now (frames under way, another table): try again.
 * - `full`: the home had to let tickets of this owner go; mending would only push out others.
 * - `differs`: here are the home's cells of one differing group.
 */
export type ReplyStatus = 'equal' | 'busy' | 'full' | 'differs';
const STATUSES: readonly ReplyStatus[] = ['equal', 'busy', 'full', 'differs'];

export interface ReplyMessage {
  /** Of the digest that is answered. */
  readonly stream: number;
  readonly sequence: number;
  readonly status: ReplyStatus;
  /** With `differs`. */
  readonly group: number;
  readonly cells: Digests;
  /** {@link digestEcho} of the digest that is answered; `undefined` before protocol 2. */
  readonly echo: number | undefined;
}

/** Tells digests apart that were made after the same frame. Part of the protocol. */
export function digestEcho(table: number, { counts, hashes }: Digests): number {
  let echo = table | 0;
  for (let group = 0; group < counts.length; group++) {
    echo = Math.imul(echo ^ counts[group]!, 0x85ebca6b);
    echo = Math.imul(echo ^ (echo >>> 13) ^ hashes[group]!, 0xc2b2ae35);
    echo ^= echo >>> 16;
  }
  return echo >>> 0;
}

/** @returns bytes written; room for 527 is the caller's duty. */
export function writeReply(bytes: Uint8Array, message: ReplyMessage): number {
  writeU32(bytes, 0, message.stream);
  writeU32(bytes, 4, message.sequence);
  bytes[8] = STATUSES.indexOf(message.status);
  let o = REPLY_HEAD_BYTES;
  if (message.status === 'differs') {
    const { counts, hashes } = message.cells;
    bytes[o] = message.group;
    bytes[o + 1] = counts.length;
    o += 2;
    for (let cell = 0; cell < counts.length; cell++, o += 8) {
      writeU32(bytes, o, counts[cell]!);
      writeU32(bytes, o + 4, hashes[cell]!);
    }
  }
  if (message.echo === undefined) return o;
  writeU32(bytes, o, message.echo);
  return o + 4;
}

/** For replies that carry none. */
export const NO_CELLS: Digests = emptyDigests(0);

export function readReply(bytes: Uint8Array): ReplyMessage | undefined {
  if (bytes.length < REPLY_HEAD_BYTES) return undefined;
  const status = STATUSES[bytes[8]!];
  if (status === undefined) return undefined;
  const stream = readU32(bytes, 0);
  const sequence = readU32(bytes, 4);
  if (status !== 'differs') {
    const echo = readEcho(bytes, REPLY_HEAD_BYTES);
    return { stream, sequence, status, group: 0, cells: NO_CELLS, echo };
  }
  const group = bytes[9] ?? DIGEST_GROUPS;
  const count = bytes[10] ?? 0;
  if (group >= DIGEST_GROUPS || count === 0 || count > DIGEST_GROUPS) return undefined;
  const end = REPLY_HEAD_BYTES + 2 + count * 8;
  if (bytes.length < end) return undefined;
  const cells = emptyDigests(count);
  for (let cell = 0, o = REPLY_HEAD_BYTES + 2; cell < count; cell++, o += 8) {
    cells.counts[cell] = readU32(bytes, o);
    cells.hashes[cell] = readU32(bytes, o + 4);
  }
  return { stream, sequence, status, group, cells, echo: readEcho(bytes, end) };
}

function readEcho(bytes: Uint8Array, at: number): number | undefined {
  return bytes.length < at + 4 ? undefined : readU32(bytes, at);
}

const PARTIAL = 1;

/**
 * What the owner has in some buckets that the home keeps for it. All of it, unless `partial`: then
 * the home may not conclude that what is missing here has ended.
 */
export interface SnapshotHead {
  readonly stream: number;
  /** Last frame sent before the snapshot was made. */
  readonly sequence: number;
  readonly table: number;
  /** Newest generation the owner had given out; later tickets are not covered. */
  readonly generation: number;
  readonly firstBucket: number;
  readonly buckets: number;
  readonly partial: boolean;
}

export function writeSnapshotHead(bytes: Uint8Array, head: SnapshotHead): number {
  writeU32(bytes, 0, head.stream);
  writeU32(bytes, 4, head.sequence);
  writeU32(bytes, 8, head.table);
  writeU32(bytes, 12, head.generation);
  writeU32(bytes, 16, head.firstBucket);
  writeU32(bytes, 20, head.buckets);
  bytes[24] = head.partial ? PARTIAL : 0;
  return SNAPSHOT_HEAD_BYTES;
}

/** `undefined` for bytes that are no snapshot. The part after the head was checked. */
export function readSnapshotHead(bytes: Uint8Array): SnapshotHead | undefined {
  if (bytes.length < SNAPSHOT_HEAD_BYTES) return undefined;
  const firstBucket = readU32(bytes, 16);
  const buckets = readU32(bytes, 20);
  if (buckets === 0 || firstBucket + buckets > 65_536) return undefined;
  if (partEnd(bytes, SNAPSHOT_HEAD_BYTES) < 0) return undefined;
  return {
    stream: readU32(bytes, 0),
    sequence: readU32(bytes, 4),
    table: readU32(bytes, 8),
    generation: readU32(bytes, 12),
    firstBucket,
    buckets,
    partial: (bytes[24]! & PARTIAL) !== 0,
  };
}
