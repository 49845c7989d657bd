/**
 * The inside of a datagram: one protobuf message whose fields are message types.
 *
 * ```proto
 * message Packet {
 *   repeated Ping ping = 1;         repeated Ack ack = 2;
 *   repeated PingRequest pingRequest = 3;  repeated Nack nack = 4;
 *   repeated Claim claim = 5;       repeated Rumour rumour = 6;
 *   repeated bytes channel_16 = 16; … up to 63: opaque to the mesh core
 * }
 * ```
 * A node that meets an unknown field skips it: so new message types need no new version.
 */
import { WireReader } from './wire-reader.ts';

export const FIELD_PING = 1;
export const FIELD_ACK = 2;
export const FIELD_PING_REQUEST = 3;
export const FIELD_NACK = 4;
export const FIELD_CLAIM = 5;
export const FIELD_RUMOUR = 6;
/** Only on streams. */
export const FIELD_EXCHANGE = 7;
/** Most messages accepted in one datagram; the shortest takes two bytes. */
export const PACKET_FIELDS_MAX = 600;

const NOTHING = new Uint8Array(0);

export interface PacketField {
  readonly field: number;
  /** View into the packet. */
  readonly body: Uint8Array;
}

/** Bytes that a field of `bodyBytes` takes in a packet. */
export function fieldBytes(field: number, bodyBytes: number): number {
  return (field < 16 ? 1 : 2) + (bodyBytes < 128 ? 1 : bodyBytes < 16_384 ? 2 : 3) + bodyBytes;
}

/** Fills a buffer with fields, one after the other, never past its limit. */
export class PacketWriter {
  readonly bytes: Uint8Array;
  readonly #start: number;
  #end: number;
  #limit: number;

  /** Room is left for `headBytes` in front and `tailBytes` behind. */
  constructor(bufferBytes: number, headBytes: number, tailBytes: number) {
    this.bytes = new Uint8Array(bufferBytes);
    this.#start = headBytes;
    this.#end = headBytes;
    this.#limit = bufferBytes - tailBytes;
  }

  get contentBytes(): number {
    return this.#end - this.#start;
  }

  get roomBytes(): number {
    return this.#limit - this.#end;
  }

  content(): Uint8Array {
    return new Uint8Array(this.bytes.buffer, this.#start, this.#end - this.#start);
  }

  clear(): void {
    this.#end = this.#start;
  }

  /** @returns false, with nothing written, when the field does not fit. */
  append(field: number, body: Uint8Array): boolean {
    const length = body.length;
    if (fieldBytes(field, length) > this.#limit - this.#end) return false;
    const bytes = this.bytes;
    let end = this.#end;
    const tag = (field << 3) | 2;
    if (tag < 128) bytes[end++] = tag;
    else {
      bytes[end++] = (tag & 127) | 128;
      bytes[end++] = tag >>> 7;
    }
    let rest = length;
    while (rest > 127) {
      bytes[end++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    bytes[end++] = rest;
    bytes.set(body, end);
    this.#end = end + length;
    return true;
  }
}

/**
 * Cuts packets into their fields, one packet after the other. Fields that are not length-delimited
 * are skipped.
 */
export class PacketReader {
  bytes: Uint8Array = NOTHING;
  /** Fields of the packet. Their numbers, and where their content is in `bytes`, by place. */
  count = 0;
  readonly fields: number[] = [];
  readonly from: number[] = [];
  readonly end: number[] = [];
  readonly #wire = new WireReader();

  /**
   * @returns false for anything that is not well-formed protobuf or has too many fields: then nothing
   * of the packet may be used.
   */
  read(bytes: Uint8Array): boolean {
    const wire = this.#wire;
    wire.open(bytes);
    this.bytes = bytes;
    this.count = 0;
    while (wire.more) {
      const tag = wire.uint32();
      if (tag >>> 3 === 0) return false;
      if ((tag & 7) !== 2) {
        wire.skip(tag & 7);
        continue;
      }
      if (this.count >= PACKET_FIELDS_MAX) return false;
      wire.span();
      this.fields[this.count] = tag >>> 3;
      this.from[this.count] = wire.from;
      this.end[this.count] = wire.at;
      this.count += 1;
    }
    return wire.sound;
  }

  /** View into the packet. */
  body(place: number): Uint8Array {
    const { buffer, byteOffset } = this.bytes;
    const from = this.from[place]!;
    return new Uint8Array(buffer, byteOffset + from, this.end[place]! - from);
  }
}

const reader = new PacketReader();

/** All fields of one packet, or `undefined` where {@link PacketReader.read} says false. */
export function readPacket(bytes: Uint8Array): PacketField[] | undefined {
  if (!reader.read(bytes)) return undefined;
  return Array.from({ length: reader.count }, (_, place) => {
    return { field: reader.fields[place]!, body: reader.body(place) };
  });
}
