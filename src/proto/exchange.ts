/**
 * Push/pull: one node's whole view of the membership, sent over a stream.
 *
 * ```proto
 * message Exchange {
 *   bool reply = 1;      // an answer is not answered
 *   fixed32 digest = 2;  // hash over (id, incarnation, run, status) of all live nodes
 *   repeated Claim claim = 3;
 * }
 * ```
 * A request first carries only the digest; the claims follow when the digests differ.
 */
import protobuf from 'protobufjs/minimal.js';
import { type Claim, decodeClaim, encodeClaim } from './claim.ts';

export const EXCHANGE_CLAIMS_MAX = 2_048;

export interface Exchange {
  readonly reply: boolean;
  readonly digest: number;
  readonly claims: readonly Claim[];
}

export function encodeExchange(exchange: Exchange): Uint8Array {
  const writer = new protobuf.Writer();
  if (exchange.reply) writer.uint32(8).bool(true);
  writer.uint32(21).fixed32(exchange.digest);
  for (const claim of exchange.claims) writer.uint32(26).bytes(encodeClaim(claim));
  return writer.finish();
}

/** Claims that cannot be read are left out. @returns `undefined` when malformed as a whole. */
export function decodeExchange(bytes: Uint8Array): Exchange | undefined {
  let reply = false;
  let digest = 0;
  const claims: Claim[] = [];
  try {
    const reader = new protobuf.Reader(bytes);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === 8) reply = reader.bool();
      else if (tag === 21) digest = reader.fixed32();
      else if (tag === 26) {
        if (claims.length >= EXCHANGE_CLAIMS_MAX) return undefined;
        const claim = decodeClaim(reader.bytes());
        if (claim !== undefined) claims.push(claim);
      } else reader.skipType(tag & 7);
    }
  } catch {
    return undefined;
  }
  return { reply, digest, claims };
}
