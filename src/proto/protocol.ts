/**
 * Versions of what nodes say to each other inside packets. A node speaks a range of them and says so
 * in its claim; nodes whose ranges do not overlap do not see each other. Whatever can be skipped by
 * who does not know it (fields of protobuf messages, bytes at the end of packed ones) needs no
 * version of its own; what must be understood to be of use is sent only to whom understands it.
 *
 * - 1: the first.
 * - 2: a home may ask an owner for a digest (channel 21), and replies name the digest they answer.
 */
export const PROTOCOL_MIN = 1;
export const PROTOCOL_MAX = 2;

/** First version with requests for digests. */
export const PROTOCOL_CHECKS = 2;

/** The highest version that both speak. */
export function sharedProtocol(
  a: { readonly protocolMax: number },
  b: { readonly protocolMax: number },
): number {
  return Math.min(a.protocolMax, b.protocolMax);
}
