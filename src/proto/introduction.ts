/**
 * What the two sides of a key exchange tell each other, sealed inside `hello` and `answer`.
 *
 * ```proto
 * message Introduction {
 *   Claim claim = 1;      // about the sender itself
 *   bytes identity = 2;   // Ed25519 public key, when the node has one
 *   bytes signature = 3;  // by it, over the exchange so far
 *   bytes padding = 15;
 * }
 * ```
 */
import protobuf from 'protobufjs/minimal.js';
import { ALIVE, type Claim, decodeClaim, encodeClaim } from './claim.ts';

export const IDENTITY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

export interface Introduction {
  readonly claim: Claim;
  /** Empty or {@link IDENTITY_BYTES} long. */
  readonly identity: Uint8Array;
  /** Empty or {@link SIGNATURE_BYTES} long. */
  readonly signature: Uint8Array;
}

const NONE = new Uint8Array(0);

/** @param bytesWanted Pads up to exactly this length; 0 for none. */
export function encodeIntroduction(introduction: Introduction, bytesWanted = 0): Uint8Array {
  const writer = new protobuf.Writer();
  writer.uint32(10).bytes(encodeClaim(introduction.claim));
  if (introduction.identity.length > 0) writer.uint32(18).bytes(introduction.identity);
  if (introduction.signature.length > 0) writer.uint32(26).bytes(introduction.signature);
  const bare = writer.finish();
  const missing = bytesWanted - bare.length;
  if (missing <= 0) return bare;
  // Field 15: tag of one byte, length of one or two (written as two, which protobuf allows).
  const padded = new Uint8Array(bytesWanted);
  padded.set(bare);
  const body = missing - 3;
  if (body < 0) return bare;
  padded[bare.length] = (15 << 3) | 2;
  padded[bare.length + 1] = (body & 127) | 128;
  padded[bare.length + 2] = body >>> 7;
  return padded;
}

/** @returns `undefined` when malformed, or when the claim is not a full one of a live node. */
export function decodeIntroduction(bytes: Uint8Array): Introduction | undefined {
  let claim: Claim | undefined;
  let identity: Uint8Array = NONE;
  let signature: Uint8Array = NONE;
  try {
    const reader = new protobuf.Reader(bytes);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === 10) claim = decodeClaim(reader.bytes());
      else if (tag === 18) identity = reader.bytes();
      else if (tag === 26) signature = reader.bytes();
      else reader.skipType(tag & 7);
    }
  } catch {
    return undefined;
  }
  if (claim === undefined || claim.address === '' || claim.status !== ALIVE) return undefined;
  if (identity.length !== 0 && identity.length !== IDENTITY_BYTES) return undefined;
  if (signature.length !== 0 && signature.length !== SIGNATURE_BYTES) return undefined;
  return { claim, identity, signature };
}
