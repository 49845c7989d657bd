import { ALIVE, type Claim, DEAD, LEFT, type StatusCode, SUSPECT } from '../proto/claim.ts';
import {
  type Member,
  type MemberFacts,
  type MemberStatus,
  type NodeId,
  PEERS_MAX,
  type PeerIndex,
  type PeerTable,
} from './core.ts';
import { RoundTrip } from './round-trip.ts';
import type { Suspicion } from './suspicion.ts';

const STATUSES: readonly MemberStatus[] = ['alive', 'suspect', 'dead', 'left'];

export function statusCode(status: MemberStatus): StatusCode {
  return status === 'alive'
    ? ALIVE
    : status === 'suspect'
      ? SUSPECT
      : status === 'dead'
        ? DEAD
        : LEFT;
}

export function isLive(member: Member): boolean {
  return member.status === 'alive' || member.status === 'suspect';
}

/** FNV-1a with a final avalanche: places ids on the ring and makes digests. Not for secrets. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash);
}

function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** One row of the table. */
export interface Entry {
  readonly peer: PeerIndex;
  /** Place on the ring of watchers. */
  readonly place: number;
  readonly roundTrip: RoundTrip;
  member: Member;
  /** Since when it has its status. */
  sinceMs: number;
  suspicion: Suspicion | undefined;
  /** The life that last proved itself to us, by a key exchange or a sealed datagram, and when. */
  provenRun: number;
  provenAtMs: number;
  /** Others say that a life with the same incarnation ended, which is not the one that we know. */
  otherLifeEnded: boolean;
  /** The life that the components know. */
  toldBoot: number;
  toldRun: number;
}

/** What others remember of a node counts less than what it proved itself, this long. */
const PROOF_MS = 2_000;

/**
 * Whether a claim about another life than the held one must wait for the node's own word: when the
 * held life proved a moment ago that it lives, or when neither life can have heard of the other.
 */
export function isDoubtfulLife(nowMs: number, claim: Claim, entry: Entry): boolean {
  const { member, provenRun, provenAtMs } = entry;
  if (claim.run === member.run || claim.run === provenRun) return false;
  if (claim.incarnation === member.incarnation) return true;
  return provenRun === member.run && nowMs - provenAtMs < PROOF_MS;
}

/** What orders claims. */
export type ClaimState = Pick<Claim, 'incarnation' | 'run' | 'status'>;

/**
 * Others say that a life ended which may be younger or older than the held one: both have the same
 * incarnation. Perhaps the held one is over too, and nobody else has ever met it: worth a probe.
 * @returns true the first time.
 */
export function isEndOfOtherLife(claim: Claim, entry: Entry): boolean {
  const { member } = entry;
  if (entry.otherLifeEnded || claim.status < DEAD || !isLive(member)) return false;
  if (claim.incarnation !== member.incarnation || claim.run === member.run) return false;
  entry.otherLifeEnded = true;
  return true;
}

/**
 * Who is older: claims are ordered by incarnation, then run, then how bad the status is. A total
 * order that every node shares, so merging in any order ends in the same view.
 * @returns negative when the claim is older than what is known, 0 when it says the same.
 */
export function compareClaim(claim: ClaimState, known: Member): number {
  if (claim.incarnation !== known.incarnation) return claim.incarnation - known.incarnation;
  if (claim.run !== known.run) return claim.run - known.run;
  return claim.status - statusCode(known.status);
}

/** The facts of a full claim. */
export function claimFacts(claim: Claim): MemberFacts {
  return {
    id: claim.id,
    pop: claim.pop,
    address: claim.address,
    boot: claim.boot,
    run: claim.run,
    configDigest: claim.configDigest,
    version: claim.version,
    protocolMin: claim.protocolMin,
    protocolMax: claim.protocolMax,
    draining: claim.draining,
  };
}

/** Whether anything that people or components care about changed. */
export function factsDiffer(a: Member, b: Member): boolean {
  return (
    a.draining !== b.draining ||
    a.configDigest !== b.configDigest ||
    a.address !== b.address ||
    a.pop !== b.pop ||
    a.version !== b.version
  );
}

export function memberClaim(member: Member, accuser = ''): Claim {
  return {
    id: member.id,
    incarnation: member.incarnation,
    run: member.run,
    status: statusCode(member.status),
    accuser,
    boot: member.boot,
    pop: member.pop,
    address: member.address,
    configDigest: member.configDigest,
    version: member.version,
    protocolMin: member.protocolMin,
    protocolMax: member.protocolMax,
    draining: member.draining,
  };
}

export function statusOf(code: StatusCode): MemberStatus {
  return STATUSES[code]!;
}

/** Every node known, in dense slots. Slot 0 is this node. */
export class MemberTable implements PeerTable {
  readonly self: PeerIndex = 0;
  readonly #slots: (Entry | undefined)[] = [];
  readonly #byId = new Map<NodeId, Entry>();
  #indices: readonly PeerIndex[] | undefined;
  #live: readonly Entry[] | undefined;
  #liveCount = 0;

  constructor(self: Member) {
    this.add(self, 0);
  }

  get(peer: PeerIndex): Member | undefined {
    return this.#slots[peer]?.member;
  }

  entry(peer: PeerIndex): Entry | undefined {
    return this.#slots[peer];
  }

  entryOf(id: NodeId): Entry | undefined {
    return this.#byId.get(id);
  }

  indexOf(id: NodeId): PeerIndex | undefined {
    return this.#byId.get(id)?.peer;
  }

  rttMs(peer: PeerIndex): number | undefined {
    return this.#slots[peer]?.roundTrip.smoothedMs;
  }

  indices(): readonly PeerIndex[] {
    this.#indices ??= this.entries().map((entry) => entry.peer);
    return this.#indices;
  }

  entries(): Entry[] {
    return this.#slots.filter((slot) => slot !== undefined);
  }

  /** Alive and suspect nodes, this one included; by slot. Kept until membership changes. */
  live(): readonly Entry[] {
    this.#live ??= this.entries().filter((entry) => isLive(entry.member));
    return this.#live;
  }

  /** How many there are of {@link live}. */
  get liveCount(): number {
    return this.#liveCount;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** @returns `undefined` when the table is full. */
  add(member: Member, nowMs: number): Entry | undefined {
    let peer = this.#slots.indexOf(undefined);
    if (peer === -1) peer = this.#slots.length;
    if (peer >= PEERS_MAX) return undefined;
    const entry: Entry = {
      peer,
      place: hashText(member.id),
      roundTrip: new RoundTrip(),
      member,
      sinceMs: nowMs,
      suspicion: undefined,
      provenRun: 0,
      provenAtMs: Number.NEGATIVE_INFINITY,
      otherLifeEnded: false,
      toldBoot: member.boot,
      toldRun: member.run,
    };
    this.#slots[peer] = entry;
    this.#byId.set(member.id, entry);
    if (isLive(member)) this.#liveCount += 1;
    this.#changed();
    return entry;
  }

  update(entry: Entry, member: Member, nowMs: number): void {
    if (entry.member.status !== member.status) entry.sinceMs = nowMs;
    if (isLive(entry.member) !== isLive(member)) {
      this.#live = undefined;
      this.#liveCount += isLive(member) ? 1 : -1;
    }
    entry.member = member;
  }

  remove(entry: Entry): void {
    this.#slots[entry.peer] = undefined;
    this.#byId.delete(entry.member.id);
    if (isLive(entry.member)) this.#liveCount -= 1;
    this.#changed();
  }

  /** Of those neither alive nor suspect, this node never among them. */
  longestGone(): Entry | undefined {
    let longest: Entry | undefined;
    for (const entry of this.entries()) {
      if (entry.peer === this.self || isLive(entry.member)) continue;
      if (longest === undefined || entry.sinceMs < longest.sinceMs) longest = entry;
    }
    return longest;
  }

  /** Same for two nodes exactly when their live members, incarnations and statuses agree. */
  digest(): number {
    let sum = 0;
    for (const { place, member } of this.live()) {
      const state = Math.imul(member.incarnation, 4) + statusCode(member.status);
      sum = (sum + mix(place ^ mix(member.run ^ mix(state)))) >>> 0;
    }
    return sum;
  }

  /** The live node after `entry` on the ring; itself when alone. */
  successor(entry: Entry): Entry {
    let best = entry;
    let bestDistance = 2 ** 33;
    for (const other of this.live()) {
      if (other === entry) continue;
      const distance = (other.place - entry.place) >>> 0;
      if (distance < bestDistance || (distance === bestDistance && other.peer < best.peer)) {
        best = other;
        bestDistance = distance;
      }
    }
    return best;
  }

  /** How many live nodes stand on the ring between `entry` and the later `target`. */
  distance(entry: Entry, target: Entry): number {
    const own = (target.place - entry.place) >>> 0;
    let between = 0;
    for (const other of this.live()) {
      if (other !== entry && other !== target && (target.place - other.place) >>> 0 < own) {
        between += 1;
      }
    }
    return between;
  }

  #changed(): void {
    this.#indices = undefined;
    this.#live = undefined;
  }
}
