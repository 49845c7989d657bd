import type { Claim } from '../proto/claim.ts';
import type { MembershipOutbox } from './membership-outbox.ts';

/** A restart costs one or two refutations; more within the window are a second node of our name. */
const REFUTATIONS = 8;
const WINDOW_MS = 30_000;

/** Two running nodes have one name. Mend: give each its own `node` in the configuration. */
export interface NameConflictNotice {
  readonly type: 'nameConflict';
  readonly id: string;
  readonly otherAddress: string;
}

/** Notices when our name is fought over. */
export class NameConflict {
  #sinceMs = Number.NEGATIVE_INFINITY;
  #refutations = 0;

  /** Another life of our name was heard of. @returns true when that makes it a conflict. */
  heard(nowMs: number, claim: Claim, out: MembershipOutbox): boolean {
    if (nowMs - this.#sinceMs > WINDOW_MS) {
      this.#sinceMs = nowMs;
      this.#refutations = 0;
    }
    this.#refutations += 1;
    if (this.#refutations !== REFUTATIONS) return false;
    const notice: NameConflictNotice = {
      type: 'nameConflict',
      id: claim.id,
      otherAddress: claim.address,
    };
    out.notify(notice);
    return true;
  }
}
