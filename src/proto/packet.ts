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
    return this.bytes.subarray(this.#start, this.#end);
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

const wire = new WireReader();

/**
 * Cuts a packet into its fields. Fields that are not length-delimited are skipped.
 * @returns `undefined` for anything that is not well-formed protobuf or has too many fields: then
 * nothing of the packet may be used.
 */
export function readPacket(bytes: Uint8Array): PacketField[] | undefined {
  const fields: PacketField[] = [];
  wire.open(bytes);
  while (wire.more) {
    const tag = wire.uint32();
    if (tag >>> 3 === 0) return undefined;
    if ((tag & 7) !== 2) {
      wire.skip(tag & 7);
      continue;
    }
    if (fields.length >= PACKET_FIELDS_MAX) return undefined;
    wire.span();
    const { from, at } = wire;
    fields.push({ field: tag >>> 3, body: bytes.subarray(from, at) });
  }
  return wire.sound ? fields : undefined;
}
