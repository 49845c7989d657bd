import type { Claim } from '../proto/claim.ts';
import { decodeExchange, encodeExchange } from '../proto/exchange.ts';
import { FIELD_EXCHANGE } from '../proto/packet.ts';
import type { PeerIndex } from './core.ts';
import { type Entry, type MemberTable, memberClaim } from './member-table.ts';
import type { MembershipCounters } from './membership-counters.ts';
import type { MembershipOutbox } from './membership-outbox.ts';

/** Between two exchanges out of turn. */
const EXTRA_GAP_MS = 500;

/**
 * Push/pull: two nodes compare digests of their views over a stream; when these differ, each sends
 * all it knows. What gossip missed is found here.
 */
export class Exchanges {
  readonly #table: MemberTable;
  readonly #counters: MembershipCounters;
  #extraAtMs = Number.NEGATIVE_INFINITY;

  readonly #enabled: boolean;

  constructor(table: MemberTable, counters: MembershipCounters, enabled: boolean) {
    this.#enabled = enabled;
    this.#table = table;
    this.#counters = counters;
  }

  start(partner: Entry, out: MembershipOutbox): void {
    if (!this.#enabled) return;
    this.#counters.exchanges += 1;
    const request = { reply: false, digest: this.#table.digest(), claims: [] };
    out.postStream(partner.peer, FIELD_EXCHANGE, encodeExchange(request));
  }

  /** Out of turn: a node just joined, or came back with much to tell. */
  startExtra(nowMs: number, partner: Entry, out: MembershipOutbox): void {
    if (nowMs - this.#extraAtMs < EXTRA_GAP_MS) return;
    this.#extraAtMs = nowMs;
    this.start(partner, out);
  }

  /** @param merge Called for each claim of the other side. */
  receive(
    from: PeerIndex,
    body: Uint8Array,
    merge: (claim: Claim) => void,
    out: MembershipOutbox,
  ): void {
    const exchange = decodeExchange(body);
    if (exchange === undefined) {
      this.#counters.claimsMalformed += 1;
      return;
    }
    for (const claim of exchange.claims) merge(claim);
    const digest = this.#table.digest();
    if (exchange.reply || digest === exchange.digest) return;
    this.#counters.exchangesFull += 1;
    // No accuser: what is passed on here is no further witness.
    const claims = this.#table.entries().map(({ member }) => memberClaim(member));
    const reply = exchange.claims.length > 0;
    out.postStream(from, FIELD_EXCHANGE, encodeExchange({ reply, digest, claims }));
  }
}
