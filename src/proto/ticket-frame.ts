/**
 * Messages of the flow-ticket streams, owner to home and back. All numbers in network byte order;
 * bytes after what is drawn are ignored.
 *
 *     frame  u32 stream │ u32 sequence │ u8 flags │ part │ part of sequence − 1, if flag 1
 *     ack    u32 stream │ u32 all up to here │ u32 missing up to here │ u8 ranges │ range …
 *     range  u16 from (distance to "all up to here") │ u16 length        received beyond a gap
 */
import { readU16, readU32, writeU16, writeU32 } from './ticket-bytes.ts';
import { partEnd } from './ticket-part.ts';

export const FRAME_HEAD_BYTES = 9;
const REPEATS = 1;

export function writeFrameHead(
  bytes: Uint8Array,
  stream: number,
  sequence: number,
  repeats: boolean,
): number {
  writeU32(bytes, 0, stream);
  writeU32(bytes, 4, sequence);
  bytes[8] = repeats ? REPEATS : 0;
  return FRAME_HEAD_BYTES;
}

export interface Frame {
  readonly stream: number;
  /** From 1; each frame of a stream has the next. */
  readonly sequence: number;
  /** Where its part starts. */
  readonly at: number;
  /** Where the repeated part of the frame before starts; -1 without one. */
  readonly repeatedAt: number;
}

/** `undefined` for bytes that are no frame. Both parts were checked. */
export function readFrame(bytes: Uint8Array): Frame | undefined {
  if (bytes.length < FRAME_HEAD_BYTES) return undefined;
  const end = partEnd(bytes, FRAME_HEAD_BYTES);
  if (end < 0) return undefined;
  const repeats = (bytes[8]! & REPEATS) !== 0;
  if (repeats && partEnd(bytes, end) < 0) return undefined;
  const stream = readU32(bytes, 0);
  const sequence = readU32(bytes, 4);
  if (stream === 0 || sequence === 0) return undefined;
  return { stream, sequence, at: FRAME_HEAD_BYTES, repeatedAt: repeats ? end : -1 };
}

export interface Ack {
  readonly stream: number;
  /** Every frame up to this one was received. */
  readonly complete: number;
  /** What is not in `ranges` up to this one is missing: send it again. */
  readonly missingTo: number;
  /** Received beyond the first gap, ascending: first and last sequence of each run. */
  readonly ranges: readonly (readonly [first: number, last: number])[];
}

const ACK_HEAD_BYTES = 13;
export const ACK_RANGES_MAX = 64;

/** @returns bytes written. Ranges beyond {@link ACK_RANGES_MAX} are the caller's to cut. */
export function writeAck(bytes: Uint8Array, ack: Ack): number {
  writeU32(bytes, 0, ack.stream);
  writeU32(bytes, 4, ack.complete);
  writeU32(bytes, 8, ack.missingTo);
  bytes[12] = ack.ranges.length;
  let o = ACK_HEAD_BYTES;
  for (const [first, last] of ack.ranges) {
    writeU16(bytes, o, first - ack.complete);
    writeU16(bytes, o + 2, last - first + 1);
    o += 4;
  }
  return o;
}

export function readAck(bytes: Uint8Array): Ack | undefined {
  if (bytes.length < ACK_HEAD_BYTES) return undefined;
  const count = bytes[12]!;
  if (count > ACK_RANGES_MAX || bytes.length < ACK_HEAD_BYTES + count * 4) return undefined;
  const complete = readU32(bytes, 4);
  const ranges: [number, number][] = [];
  for (let i = 0; i < count; i++) {
    const o = ACK_HEAD_BYTES + i * 4;
    const first = complete + readU16(bytes, o);
    const length = readU16(bytes, o + 2);
    const before = ranges.at(-1)?.[1] ?? complete;
    if (length === 0 || first <= before) return undefined;
    ranges.push([first, first + length - 1]);
  }
  return { stream: readU32(bytes, 0), complete, missingTo: readU32(bytes, 8), ranges };
}
