/**
 * Reads protobuf without exceptions and without an object per message: a mesh of 500 nodes hands
 * each node ten thousand claims a second, most of which it knows. Reads what protobufjs reads and
 * refuses what it refuses (a test compares them); everything rarer than claims and probes uses that.
 */
import protobuf from 'protobufjs/minimal.js';

/** Wire types (protobuf encoding, "Message structure"). */
const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const GROUP = 3;
const FIXED32 = 5;

const NOTHING = new Uint8Array(0);
const VARINT_BYTES_MAX = 10;

/** A place in some bytes. One reader is used again for message after message. */
export class WireReader {
  bytes: Uint8Array = NOTHING;
  at = 0;
  end = 0;
  /** Where the content of the last {@link span} starts; it ends at `at`. */
  from = 0;
  #sound = true;

  /** Starts at `from`. Whatever was being read is given up. */
  open(bytes: Uint8Array, from = 0, end = bytes.length): void {
    this.bytes = bytes;
    this.at = from;
    this.end = end;
    this.#sound = true;
  }

  /** False at the end, and for ever after the first fault. */
  get more(): boolean {
    return this.at < this.end;
  }

  /** False once something could not be read: nothing of the message may be used. */
  get sound(): boolean {
    return this.#sound;
  }

  /** Low 32 bits of a varint, unsigned. */
  uint32(): number {
    const { bytes } = this;
    if (this.at >= this.end) return this.#fault();
    const first = bytes[this.at++]!;
    if (first < 128) return first;
    let value = first & 127;
    const last = Math.min(this.end, this.at + VARINT_BYTES_MAX - 1);
    for (let shift = 7; this.at < last; shift += 7) {
      const byte = bytes[this.at++]!;
      if (shift < 32) value |= (byte & 127) << shift;
      if (byte < 128) return value >>> 0;
    }
    return this.#fault();
  }

  /** Whether a varint is anything but zero. */
  bool(): boolean {
    let any = 0;
    const last = Math.min(this.end, this.at + VARINT_BYTES_MAX);
    while (this.at < last) {
      const byte = this.bytes[this.at++]!;
      any |= byte & 127;
      if (byte < 128) return any !== 0;
    }
    this.#fault();
    return false;
  }

  fixed32(): number {
    const { bytes, at } = this;
    if (at + 4 > this.end) return this.#fault();
    this.at = at + 4;
    const high = (bytes[at + 3]! << 24) | (bytes[at + 2]! << 16);
    return (high | (bytes[at + 1]! << 8) | bytes[at]!) >>> 0;
  }

  /** Passes something length-delimited; its content is between `from` and `at`. */
  span(): void {
    const start = this.at;
    const length = this.uint32();
    this.from = this.at;
    const lengthBytes = this.at - start;
    const isLength = lengthBytes < 5 || (lengthBytes === 5 && this.bytes[this.at - 1]! < 8);
    if (!isLength || length > this.end - this.at) this.#fault();
    else this.at += length;
  }

  /** Passes a field that is not known, whatever it is. */
  skip(wireType: number): void {
    switch (wireType) {
      case VARINT:
        while (this.at < this.end) if (this.bytes[this.at++]! < 128) return;
        this.#fault();
        return;
      case FIXED64:
        this.#pass(8);
        return;
      case DELIMITED:
        this.span();
        return;
      case FIXED32:
        this.#pass(4);
        return;
      case GROUP:
        this.#skipGroup();
        return;
      default:
        this.#fault();
    }
  }

  #pass(bytes: number): void {
    if (bytes > this.end - this.at) this.#fault();
    else this.at += bytes;
  }

  /** Nobody here ever wrote one. */
  #skipGroup(): void {
    const reader = new protobuf.Reader(this.bytes.subarray(this.at, this.end));
    try {
      reader.skipType(GROUP);
      this.at += reader.pos;
    } catch {
      this.#fault();
    }
  }

  #fault(): number {
    this.#sound = false;
    this.at = this.end;
    this.from = this.end;
    return 0;
  }
}
