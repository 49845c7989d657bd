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

export interface Probe {
  readonly sequence: number;
  /** Of `Ping`: the life that is meant, 0 for any. */
  readonly run: number;
  /** Of `PingRequest`. */
  readonly target: string;
}

export function encodePing(sequence: number, run: number): Uint8Array {
  return new protobuf.Writer().uint32(8).uint32(sequence).uint32(21).fixed32(run).finish();
}

/** Also the body of `Nack`. */
export function encodeAck(sequence: number): Uint8Array {
  return new protobuf.Writer().uint32(8).uint32(sequence).finish();
}

export function encodePingRequest(sequence: number, target: string): Uint8Array {
  return new protobuf.Writer().uint32(8).uint32(sequence).uint32(18).string(target).finish();
}

/** Reads any of the four. @returns `undefined` when malformed. */
export function decodeProbe(body: Uint8Array): Probe | undefined {
  let sequence = 0;
  let run = 0;
  let target = '';
  try {
    const reader = new protobuf.Reader(body);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === 8) sequence = reader.uint32();
      else if (tag === 21) run = reader.fixed32();
      else if (tag === 18) target = reader.string();
      else reader.skipType(tag & 7);
    }
  } catch {
    return undefined;
  }
  return sequence === 0 ? undefined : { sequence, run, target };
}
