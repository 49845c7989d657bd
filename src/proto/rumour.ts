/**
 * Something that is passed on from node to node on behalf of a component.
 *
 * ```proto
 * message Rumour { uint32 channel = 1; string key = 2; bytes body = 3; }
 * ```
 */
import protobuf from 'protobufjs/minimal.js';

export const RUMOUR_KEY_LENGTH_MAX = 96;

export interface Rumour {
  readonly channel: number;
  readonly key: string;
  readonly body: Uint8Array;
}

export function encodeRumour(rumour: Rumour): Uint8Array {
  return new protobuf.Writer()
    .uint32(8)
    .uint32(rumour.channel)
    .uint32(18)
    .string(rumour.key)
    .uint32(26)
    .bytes(rumour.body)
    .finish();
}

/** @returns `undefined` when malformed. */
export function decodeRumour(bytes: Uint8Array): Rumour | undefined {
  let channel = 0;
  let key = '';
  let body: Uint8Array | undefined;
  try {
    const reader = new protobuf.Reader(bytes);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === 8) channel = reader.uint32();
      else if (tag === 18) key = reader.string();
      else if (tag === 26) body = reader.bytes();
      else reader.skipType(tag & 7);
    }
  } catch {
    return undefined;
  }
  if (channel === 0 || body === undefined || key.length > RUMOUR_KEY_LENGTH_MAX) return undefined;
  return { channel, key, body };
}
