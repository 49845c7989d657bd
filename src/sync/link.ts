import type { Claim } from '../proto/claim.ts';
import type { Opener, Sealer } from './cipher-suite.ts';
import type { Call } from './handshake.ts';
import { ReplayWindow } from './replay-window.ts';

/** Packets waiting for one key exchange; more are lost like any datagram. */
const QUEUE_PACKETS_MAX = 16;

/** A packet and the life of the node that it is meant for. */
export interface Waiting {
  readonly id: string;
  readonly run: number;
  readonly content: Uint8Array;
}

/** Keys shared with one life of one node. */
export class Session {
  /** Our number for it: what the other side writes into its datagrams. */
  readonly number: number;
  readonly remoteNumber: number;
  readonly remote: Claim;
  readonly keyId: number;
  readonly sealer: Sealer;
  readonly opener: Opener;
  readonly window = new ReplayWindow();
  readonly createdAtMs: number;
  /** The bytes that the caller repeated must be answered with, while it is unconfirmed. */
  answer: Uint8Array | undefined;
  /** False until the caller proved, with a first datagram, that its hello was not a replay. */
  confirmed: boolean;
  /** The node has another life by now. What still comes is read, but proves nothing. */
  outlived = false;
  counter = 0;

  constructor(
    number: number,
    keyId: number,
    agreement: { remote: Claim; remoteSession: number; sealer: Sealer; opener: Opener },
    confirmed: boolean,
    nowMs: number,
  ) {
    this.number = number;
    this.remoteNumber = agreement.remoteSession;
    this.remote = agreement.remote;
    this.keyId = keyId;
    this.sealer = agreement.sealer;
    this.opener = agreement.opener;
    this.confirmed = confirmed;
    this.createdAtMs = nowMs;
  }
}

/** Everything towards one address. */
export class Link {
  readonly address: string;
  /** Used for sending. */
  session: Session | undefined;
  /** Still accepted: the other side may not have changed over yet. */
  previous: Session | undefined;
  call: Call | undefined;
  attempt = 0;
  /** When the call is repeated or given up. */
  callAgainAtMs = Number.POSITIVE_INFINITY;
  calledAtMs = Number.NEGATIVE_INFINITY;
  usedAtMs = 0;
  readonly #queue: Waiting[] = [];

  constructor(address: string) {
    this.address = address;
  }

  /** @returns false when the queue is full. */
  enqueue(id: string, run: number, content: Uint8Array): boolean {
    if (this.#queue.length >= QUEUE_PACKETS_MAX) return false;
    this.#queue.push({ id, run, content: new Uint8Array(content) });
    return true;
  }

  drain(): Waiting[] {
    return this.#queue.splice(0);
  }
}
