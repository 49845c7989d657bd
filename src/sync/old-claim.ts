import { ALIVE, encodeClaim, SUSPECT } from '../proto/claim.ts';
import { type ClaimState, compareClaim, type Entry, isLive, memberClaim } from './member-table.ts';

/**
 * What to answer to whoever passes on a claim that was refuted, or has ended in a death, long ago:
 * gossip of that is over, and nobody else would tell. An accuser is answered whenever the accused has
 * refuted: perhaps the two cannot hear each other.
 * @param from Who says so, not necessarily its accuser.
 * @param held What is held about the node of the claim.
 * @param self This node.
 * @param freshMs News younger than this is still on its way to everybody.
 * @returns the body of a claim; `undefined` when there is nothing to say.
 */
export function answerToOldClaim(
  nowMs: number,
  claim: ClaimState & { readonly accuser: string },
  from: Entry | undefined,
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
  if (claim.status !== SUSPECT || compareClaim(claim, member) >= 0) return undefined;
  if (isLive(member)) {
    const isRefuted = member.status === 'alive' && claim.accuser === from?.member.id;
    return isRefuted ? encodeClaim(memberClaim(member)) : undefined;
  }
  if (nowMs - sinceMs < freshMs) return undefined;
  return encodeClaim(memberClaim(member, self.member.id), true);
}
