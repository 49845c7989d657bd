/**
 * Messages of the failure detector.
 *
 * ```proto
 * message Ping        { uint32 sequence = 1; fixed32 run = 2; }  // run: whom the sender means
 * message Ack         { uint32 sequence = 1; }
 * message PingRequest { uint32 sequence = 1; string target = 2; }
 * message Nack        { uint32 sequence = 1; }
 * ```
 */
import protobuf from 'protobufjs/minimal.js';
import { WireReader } from './wire-reader.ts';
import { readText } from './wire-text.ts';

export interface Probe {
  readonly sequence: number;
  /** Of `Ping`: the life that is meant, 0 for any. */
  readonly run: number;
  /** Of `PingRequest`. */
  readonly target: string;
}

export function encodePing(sequence: number, run: number): Uint8Array {
  const bytes = new Uint8Array(6 + varintBytes(sequence));
  const at = writeSequence(bytes, sequence);
  bytes[at] = 21;
  bytes[at + 1] = run;
  bytes[at + 2] = run >>> 8;
  bytes[at + 3] = run >>> 16;
  bytes[at + 4] = run >>> 24;
  return bytes;
}

/** Also the body of `Nack`. */
export function encodeAck(sequence: number): Uint8Array {
  const bytes = new Uint8Array(1 + varintBytes(sequence));
  writeSequence(bytes, sequence);
  return bytes;
}

export function encodePingRequest(sequence: number, target: string): Uint8Array {
  return new protobuf.Writer().uint32(8).uint32(sequence).uint32(18).string(target).finish();
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes += 1;
  return bytes;
}

/** @returns where the next field starts. */
function writeSequence(bytes: Uint8Array, sequence: number): number {
  bytes[0] = 8;
  let at = 1;
  let rest = sequence >>> 0;
  for (; rest > 127; rest >>>= 7) bytes[at++] = (rest & 127) | 128;
  bytes[at++] = rest;
  return at;
}

const wire = new WireReader();

/** Reads any of the four from a part of `bytes`. @returns `undefined` when malformed. */
export function decodeProbe(bytes: Uint8Array, from = 0, end = bytes.length): Probe | undefined {
  let sequence = 0;
  let run = 0;
  let target = '';
  wire.open(bytes, from, end);
  while (wire.more) {
    const tag = wire.uint32();
    if (tag === 8) sequence = wire.uint32();
    else if (tag === 21) run = wire.fixed32();
    else if (tag === 18) {
      wire.span();
      target = readText(bytes, wire.from, wire.at);
    } else wire.skip(tag & 7);
  }
  return !wire.sound || sequence === 0 ? undefined : { sequence, run, target };
}
