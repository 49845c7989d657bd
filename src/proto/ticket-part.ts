/**
 * A part: packed flow-ticket records, sorted by kind into sections.
 *
 *     part     u8 sections │ section …
 *     section  u8 kind │ u8 bytes per record │ u16 records │ record …
 *     record   u16 bucket │ key 12 (IPv4) or 36 (IPv6) │ u32 generation        18 or 42 bytes
 *
 * A reader skips sections of a kind it does not know, and bytes it does not know at the end of each
 * record, so both may be added later. Births come before ends, so that the end of a flow that lived
 * within one part finds it.
 */
import { readU16, readU32, writeU16, writeU32 } from './ticket-bytes.ts';
import {
  type FlowKey,
  KEY_BYTES,
  KEY_WORDS,
  packedKeyBytes,
  readPackedKey,
  SHORT_KEY_BYTES,
  writePackedKey,
} from './ticket-key.ts';

/** Kinds of sections, each followed by the same for IPv6; never give a number a second meaning. */
const BORN_SHORT = 1;
const ENDED_SHORT = 3;
const KINDS = 4;

const SHORT_RECORD_BYTES = 2 + SHORT_KEY_BYTES + 4;
const LONG_RECORD_BYTES = 2 + KEY_BYTES + 4;
const SECTION_HEAD_BYTES = 4;

/** Bytes of a part without records. */
export const EMPTY_PART_BYTES = 1;

const NOTHING = new Uint8Array(0);
/** Most writers see few records of most kinds. */
const FIRST_BYTES = 128;

/** Called once per record. `key` is valid only during the call. */
export interface RecordReader {
  born(bucket: number, key: FlowKey, generation: number): void;
  ended(bucket: number, key: FlowKey, generation: number): void;
}

/** Collects records until they fill a part. */
export class PartWriter {
  readonly #most: number;
  readonly #sections: Uint8Array[];
  readonly #fill = new Int32Array(KINDS);
  #bytes = EMPTY_PART_BYTES;
  #records = 0;

  /** @param most Bytes of the whole part. At most 65,535 records fit, whatever the bytes. */
  constructor(most: number) {
    this.#most = most;
    this.#sections = Array.from({ length: KINDS }, () => NOTHING);
  }

  get records(): number {
    return this.#records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns false, and changes nothing, when the record does not fit any more. */
  add(ended: boolean, bucket: number, key: FlowKey, generation: number): boolean {
    const keyBytes = packedKeyBytes(key);
    const kind = (ended ? ENDED_SHORT : BORN_SHORT) + (keyBytes === SHORT_KEY_BYTES ? 0 : 1);
    const at = this.#fill[kind - 1]!;
    const size = 2 + keyBytes + 4;
    const grown = this.#bytes + size + (at === 0 ? SECTION_HEAD_BYTES : 0);
    if (grown > this.#most || this.#records === 0xffff) return false;
    const section = this.#room(kind - 1, at + size);
    writeU16(section, at, bucket);
    writePackedKey(key, keyBytes, section, at + 2);
    writeU32(section, at + size - 4, generation);
    this.#fill[kind - 1] = at + size;
    this.#bytes = grown;
    this.#records++;
    return true;
  }

  /** Writes the part at `at` (room for {@link bytes} is the caller's duty) and starts the next. */
  finish(bytes: Uint8Array, at: number): number {
    let o = at + EMPTY_PART_BYTES;
    let sections = 0;
    for (let kind = BORN_SHORT; kind <= KINDS; kind++) {
      const fill = this.#fill[kind - 1]!;
      if (fill === 0) continue;
      const size = recordBytes(kind);
      bytes[o] = kind;
      bytes[o + 1] = size;
      writeU16(bytes, o + 2, fill / size);
      o += SECTION_HEAD_BYTES;
      const section = this.#sections[kind - 1]!;
      for (let i = 0; i < fill; i++) bytes[o + i] = section[i]!;
      o += fill;
      this.#fill[kind - 1] = 0;
      sections++;
    }
    bytes[at] = sections;
    this.#bytes = EMPTY_PART_BYTES;
    this.#records = 0;
    return o;
  }

  #room(section: number, bytes: number): Uint8Array {
    const now = this.#sections[section]!;
    if (bytes <= now.length) return now;
    const grown = new Uint8Array(Math.min(this.#most, Math.max(FIRST_BYTES, now.length * 4)));
    grown.set(now);
    this.#sections[section] = grown;
    return grown;
  }
}

/**
 * Where the part that starts at `at` ends, or -1 when the bytes are no part. Nothing is read from a
 * part that was not checked by this first.
 */
export function partEnd(bytes: Uint8Array, at: number): number {
  if (at >= bytes.length) return -1;
  let o = at + EMPTY_PART_BYTES;
  for (let left = bytes[at]!; left > 0; left--) {
    if (o + SECTION_HEAD_BYTES > bytes.length) return -1;
    const size = bytes[o + 1]!;
    if (bytes[o]! >= BORN_SHORT && bytes[o]! <= KINDS && size < recordBytes(bytes[o]!)) return -1;
    o += SECTION_HEAD_BYTES + size * readU16(bytes, o + 2);
    if (o > bytes.length) return -1;
  }
  return o;
}

const key = new Uint32Array(KEY_WORDS);

/** Reads a part that {@link partEnd} accepted. */
export function readPart(bytes: Uint8Array, at: number, reader: RecordReader): void {
  let o = at + EMPTY_PART_BYTES;
  for (let left = bytes[at]!; left > 0; left--) {
    const kind = bytes[o]!;
    const size = bytes[o + 1]!;
    const end = o + SECTION_HEAD_BYTES + size * readU16(bytes, o + 2);
    o += SECTION_HEAD_BYTES;
    if (kind < BORN_SHORT || kind > KINDS) {
      o = end;
      continue;
    }
    const isShort = kind === BORN_SHORT || kind === ENDED_SHORT;
    const keyBytes = isShort ? SHORT_KEY_BYTES : KEY_BYTES;
    const ended = kind >= ENDED_SHORT;
    const generationAt = 2 + keyBytes;
    for (; o < end; o += size) {
      readPackedKey(bytes, o + 2, keyBytes, key);
      const generation = readU32(bytes, o + generationAt);
      if (ended) reader.ended(readU16(bytes, o), key, generation);
      else reader.born(readU16(bytes, o), key, generation);
    }
  }
}

function recordBytes(kind: number): number {
  return kind === BORN_SHORT || kind === ENDED_SHORT ? SHORT_RECORD_BYTES : LONG_RECORD_BYTES;
}
