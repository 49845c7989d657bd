import { ALIVE, encodeClaim, SUSPECT } from '../proto/claim.ts';
import { type ClaimState, compareClaim, type Entry, isLive, memberClaim } from './member-table.ts';

/**
 * What to answer to whoever passes on a claim that was refuted, or has ended in a death, long ago:
 * gossip of that is over, and nobody else would tell.
 * @param held What is held about the node of the claim.
 * @param self This node.
 * @param freshMs News younger than this is still on its way to everybody.
 * @returns the body of a claim; `undefined` when there is nothing to say.
 */
export function answerToOldClaim(
  nowMs: number,
  claim: ClaimState,
  held: Entry,
  self: Entry,
  freshMs: number,
): Uint8Array | undefined {
  const { member, sinceMs } = held;
  if (claim.status === ALIVE) return undefined;
  if (held === self) {
    if (claim.incarnation >= member.incarnation || member.status === 'left') return undefined;
    return encodeClaim(memberClaim(member));
  }
  if (claim.status !== SUSPECT || isLive(member) || compareClaim(claim, member) >= 0) {
    return undefined;
  }
  if (nowMs - sinceMs < freshMs) return undefined;
  return encodeClaim(memberClaim(member, self.member.id), true);
}
