/** A home that is not sure any more asks the owner to compare, until the two have compared. */
import { PROTOCOL_CHECKS, sharedProtocol } from '../../proto/protocol.ts';
import type { Outbox, PeerIndex, PeerTable } from '../core.ts';
import { CHANNEL_CHECK } from './channels.ts';

const NEVER = Number.POSITIVE_INFINITY;
const EMPTY = new Uint8Array(0);

/**
 * Whether a home that is not sure any more may ask the owner, whichever of the two this node is. If
 * not, the owner must not rely on what the home said once.
 */
export function mayAsk(peers: PeerTable, peer: PeerIndex): boolean {
  const self = peers.get(peers.self);
  const other = peers.get(peer);
  if (self === undefined || other === undefined) return false;
  return sharedProtocol(self, other) >= PROTOCOL_CHECKS;
}

interface Request {
  againAtMs: number;
  waitMs: number;
}

export class Checks {
  readonly #peers: PeerTable;
  readonly #requests = new Map<PeerIndex, Request>();
  readonly #firstWaitMs: number;
  readonly #lastWaitMs: number;
  #out: Outbox | undefined;
  #dueMs = NEVER;

  /** Requests are repeated after `firstWaitMs`, ever more slowly, at last every `lastWaitMs`. */
  constructor(peers: PeerTable, firstWaitMs: number, lastWaitMs: number) {
    this.#peers = peers;
    this.#firstWaitMs = firstWaitMs;
    this.#lastWaitMs = lastWaitMs;
  }

  bind(out: Outbox): void {
    this.#out = out;
  }

  request(nowMs: number, owner: PeerIndex): void {
    if (!mayAsk(this.#peers, owner)) return;
    this.#requests.set(owner, { againAtMs: nowMs, waitMs: this.#firstWaitMs });
    this.#dueMs = nowMs;
    this.service(nowMs);
  }

  /** The two have compared, or the owner's life is over: a new one compares anyway. */
  end(owner: PeerIndex): void {
    this.#requests.delete(owner);
  }

  nextWakeupMs(): number {
    return this.#dueMs;
  }

  service(nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    this.#dueMs = NEVER;
    for (const [owner, request] of this.#requests) {
      if (nowMs >= request.againAtMs) {
        this.#out?.send(owner, CHANNEL_CHECK, EMPTY);
        request.againAtMs = nowMs + request.waitMs;
        request.waitMs = Math.min(request.waitMs * 2, this.#lastWaitMs);
      }
      this.#dueMs = Math.min(this.#dueMs, request.againAtMs);
    }
  }
}
