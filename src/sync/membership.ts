import {
  ALIVE,
  type Claim,
  ClaimReader,
  DEAD,
  encodeClaim,
  LEFT,
  SUSPECT,
} from '../proto/claim.ts';
import {
  FIELD_ACK,
  FIELD_CLAIM,
  FIELD_EXCHANGE,
  FIELD_NACK,
  FIELD_PING,
  FIELD_PING_REQUEST,
  type PacketReader,
  type PacketWriter,
} from '../proto/packet.ts';
import { decodeProbe, encodeAck, type Probe } from '../proto/probe.ts';
import { Awareness } from './awareness.ts';
import type { Member, MemberFacts, MemberStatus, PeerIndex } from './core.ts';
import { Exchanges } from './exchanges.ts';
import { GossipQueue } from './gossip-queue.ts';
import {
  claimFacts,
  compareClaim,
  type Entry,
  factsDiffer,
  isDoubtfulLife,
  isEndOfOtherLife,
  isLive,
  MemberTable,
  memberClaim,
  statusOf,
} from './member-table.ts';
import { type MembershipCounters, membershipCounters } from './membership-counters.ts';
import type { MembershipOutbox } from './membership-outbox.ts';
import { NameConflict } from './name-conflict.ts';
import { answerToOldClaim } from './old-claim.ts';
import { Prober } from './prober.ts';
import type { Random } from './random.ts';
import { Rounds } from './rounds.ts';
import type { MembershipSettings } from './settings.ts';
import { Suspects } from './suspects.ts';

const PROBE_FIELDS = new Set([FIELD_PING, FIELD_ACK, FIELD_PING_REQUEST, FIELD_NACK]);

/**
 * SWIM (Das, Gupta, Motivala 2002) with Lifeguard (Dadgar, Phillips, Currey 2017), plus a ring of
 * watchers and a guard against this node's own stalls. See docs/design/mesh-membership.md.
 */
export class Membership {
  readonly table: MemberTable;
  readonly awareness: Awareness;
  readonly gossip: GossipQueue;
  readonly counters: MembershipCounters = membershipCounters();
  readonly #settings: MembershipSettings;
  readonly #self: Entry;
  readonly #prober: Prober;
  readonly #rounds: Rounds;
  readonly #exchanges: Exchanges;
  readonly #conflict = new NameConflict();
  readonly #suspects: Suspects;
  readonly #claim = new ClaimReader();

  /** @param seeds Addresses to join by; our own among them is ignored. */
  constructor(
    facts: MemberFacts,
    seeds: readonly string[],
    settings: MembershipSettings,
    random: Random,
    nowMs: number,
  ) {
    this.#settings = settings;
    this.#suspects = new Suspects(settings);
    this.table = new MemberTable({ ...facts, status: 'alive', incarnation: 1 });
    this.#self = this.table.entry(0)!;
    this.#exchanges = new Exchanges(this.table, this.counters, settings.exchange);
    this.awareness = new Awareness(settings.awarenessMax);
    this.gossip = new GossipQueue(settings.gossipQueueMax);
    this.#prober = new Prober(
      this.table,
      settings,
      this.awareness,
      random.fork(),
      (now, target, out) => this.#probeFailed(now, target, out),
    );
    this.#rounds = new Rounds(
      this.table,
      seeds.filter((seed) => seed !== facts.address),
      settings,
      this.awareness,
      random.fork(),
      nowMs,
    );
  }

  get self(): Member {
    return this.#self.member;
  }

  /** How often one rumour leaves this node. Few nodes are few who pass it on: not once per decade. */
  get sendsMax(): number {
    const decades = Math.ceil(Math.log10(this.table.liveCount + 1));
    return this.#settings.gossipMultiplier * Math.max(2, decades);
  }

  /** Rides along in every datagram that has room. */
  fill(packet: PacketWriter): void {
    if (this.gossip.size > 0) this.gossip.fill(packet, this.sendsMax);
  }

  /** News to pass on; the next gossip round comes soon. `topic` is no node's id. */
  rumour(nowMs: number, topic: string, field: number, body: Uint8Array): void {
    this.gossip.add(topic, field, body);
    this.#rounds.news(nowMs);
  }

  /**
   * A key exchange with that node ended well, so its claim about itself is genuine and fresh.
   * @param called True when this node made the call.
   */
  linked(nowMs: number, claim: Claim, called: boolean, out: MembershipOutbox): void {
    const before = this.table.entryOf(claim.id);
    if (before !== undefined) this.heard(nowMs, before, claim.run);
    const news = before === undefined || !isLive(before.member);
    this.#apply(nowMs, claim, out);
    const entry = this.table.entryOf(claim.id);
    if (entry === undefined || entry === this.#self) return;
    this.heard(nowMs, entry, claim.run);
    // It restarted and does not know under which incarnation it is remembered.
    if (compareClaim(claim, entry.member) < 0) this.#tell(entry, out);
    if (news && called) this.#exchanges.startExtra(nowMs, entry, out);
  }

  /** That life of a node proved just now that it lives. */
  heard(nowMs: number, entry: Entry, run: number): void {
    entry.provenRun = run;
    entry.provenAtMs = nowMs;
  }

  /** One field of an authenticated packet: the one at `place`. */
  receive(
    nowMs: number,
    from: PeerIndex,
    packet: PacketReader,
    place: number,
    out: MembershipOutbox,
  ): void {
    const { bytes } = packet;
    const field = packet.fields[place]!;
    const start = packet.from[place]!;
    const end = packet.end[place]!;
    if (field !== FIELD_CLAIM) {
      if (!PROBE_FIELDS.has(field)) return; // Of a later version.
      const message = decodeProbe(bytes, start, end);
      if (message !== undefined) this.#probeMessage(nowMs, from, field, message, false, out);
    } else if (!this.#claim.read(bytes, start, end)) this.counters.claimsMalformed += 1;
    else {
      const held = this.table.entryOf(this.#claim.id);
      if (held !== undefined) this.#answerOldClaim(nowMs, from, held, out);
      if (!this.#isKnown(held)) this.#apply(nowMs, this.#claim.claim(), out);
    }
  }

  /** Whether the claim just read says nothing new about another node, as most do. */
  #isKnown(held: Entry | undefined): boolean {
    if (held === undefined || held === this.#self) return false;
    const order = compareClaim(this.#claim, held.member);
    if (order < 0) this.counters.claimsStale += 1;
    return order < 0 || (order === 0 && this.#claim.status !== SUSPECT);
  }

  /** One message of an authenticated stream. */
  receiveStream(
    nowMs: number,
    from: PeerIndex,
    field: number,
    body: Uint8Array,
    out: MembershipOutbox,
  ): void {
    if (field === FIELD_EXCHANGE) {
      this.#exchanges.receive(from, body, (claim) => this.#apply(nowMs, claim, out, true), out);
      return;
    }
    const message = decodeProbe(body);
    if (message !== undefined) this.#probeMessage(nowMs, from, field, message, true, out);
  }

  /** Replaces what this node says about itself, and tells the others. */
  declare(nowMs: number, facts: Partial<MemberFacts>, out: MembershipOutbox): void {
    const { member } = this.#self;
    this.#speak(nowMs, { ...member, ...facts, incarnation: member.incarnation + 1 });
    out.changed('facts', this.#self);
  }

  /** Says good-bye. Keep running for a second or two so that it is heard. */
  leave(nowMs: number): void {
    this.#speak(nowMs, { ...this.#self.member, status: 'left' });
  }

  /** Our own silence must not be held against others. */
  stalled(lateMs: number): void {
    this.counters.stalls += 1;
    if (!this.#settings.stallGuard) return;
    const byMs = lateMs + this.#settings.stallGraceMs;
    this.#prober.postpone(byMs);
    this.#suspects.postpone(byMs);
    this.awareness.add(1);
  }

  tick(nowMs: number, out: MembershipOutbox): void {
    if (this.#self.member.status === 'left') {
      this.#rounds.gossip(nowMs, this.gossip, out);
      return;
    }
    this.#suspects.due(
      nowMs,
      (entry) => this.#declareDead(nowMs, entry, out),
      (entry) => this.#tell(entry, out),
    );
    this.#prober.tick(nowMs, out);
    const watch = this.#rounds.watch(nowMs);
    if (watch !== undefined) this.#probe(nowMs, watch, out);
    const next = this.#rounds.probe(nowMs);
    if (next !== undefined) this.#probe(nowMs, next, out);
    const dead = this.#rounds.dead(nowMs);
    if (dead !== undefined) this.#callDead(dead, out);
    const partner = this.#rounds.exchange(nowMs);
    if (partner !== undefined) this.#exchanges.start(partner, out);
    this.#rounds.seeds(nowMs, out);
    this.#rounds.gossip(nowMs, this.gossip, out);
    this.#reap(nowMs, out);
  }

  nextWakeupMs(): number {
    if (this.#self.member.status === 'left') return this.#rounds.nextGossipMs();
    const probesMs = this.#prober.nextWakeupMs();
    return Math.min(probesMs, this.#rounds.nextWakeupMs(), this.#suspects.nextMs);
  }

  #probe(nowMs: number, target: Entry, out: MembershipOutbox): void {
    // Whoever is suspected hears it from us first, so that it can refute (Lifeguard's buddies).
    if (target.member.status !== 'alive') this.#tell(target, out);
    this.#prober.probe(nowMs, target, out);
  }

  #callDead(target: Entry, out: MembershipOutbox): void {
    this.#tell(target, out);
    out.doubt(target.peer);
  }

  /** Tells a node what is held about it. */
  #tell(target: Entry, out: MembershipOutbox): void {
    const { member } = target;
    const claim = memberClaim(member, member.status === 'alive' ? '' : this.#self.member.id);
    out.post(target.peer, FIELD_CLAIM, encodeClaim(claim));
  }

  #probeMessage(
    nowMs: number,
    from: PeerIndex,
    field: number,
    message: Probe,
    viaStream: boolean,
    out: MembershipOutbox,
  ): void {
    const sender = this.table.entry(from);
    if (sender === undefined) return;
    if (field === FIELD_PING) {
      if (message.run !== 0 && message.run !== this.#self.member.run) return;
      if (this.#self.member.status === 'left') return;
      if (!isLive(sender.member)) this.#tell(sender, out);
      const ack = encodeAck(message.sequence);
      if (viaStream) out.postStream(from, FIELD_ACK, ack);
      else out.post(from, FIELD_ACK, ack);
    } else if (field === FIELD_ACK) {
      this.#prober.ack(nowMs, from, message.sequence, out);
    } else if (field === FIELD_NACK) {
      this.#prober.nack(from, message.sequence);
    } else if (field === FIELD_PING_REQUEST) {
      const target = this.table.entryOf(message.target);
      if (target !== undefined && target !== this.#self) {
        this.#prober.relay(nowMs, from, message.sequence, target, out);
      }
    }
  }

  #probeFailed(nowMs: number, target: Entry, out: MembershipOutbox): void {
    const claim = memberClaim(target.member, this.#self.member.id);
    // Said before, but perhaps nobody heard it who can tell the accused.
    if (target.suspicion?.isAccuser(claim.accuser)) this.#spread(nowMs, target, claim.accuser);
    else this.#apply(nowMs, { ...claim, status: SUSPECT }, out);
  }

  /** Merges one claim. The only way in which the view of another node changes. */
  #apply(nowMs: number, claim: Claim, out: MembershipOutbox, exchanged = false): void {
    if (claim.id === this.#self.member.id) {
      this.#aboutSelf(nowMs, claim, out);
      return;
    }
    const entry = this.table.entryOf(claim.id);
    if (entry === undefined) {
      this.#meet(nowMs, claim, out, exchanged);
      return;
    }
    if (isEndOfOtherLife(claim, entry)) this.#prober.probe(nowMs, entry, out);
    const order = compareClaim(claim, entry.member);
    if (order < 0) {
      this.counters.claimsStale += 1;
      return;
    }
    if (order === 0) {
      if (claim.status === SUSPECT) this.#confirm(nowMs, entry, claim);
      return;
    }
    if (isDoubtfulLife(nowMs, claim, entry)) {
      // An older life that others remember, or a newer one: the node itself will say which.
      out.post(entry.peer, FIELD_CLAIM, encodeClaim(claim));
      out.doubt(entry.peer);
      return;
    }
    if (claim.status === DEAD && entry.member.status === 'alive') {
      // Perhaps told by the other side of a healed partition: see for ourselves, and let it refute.
      this.#verify(nowMs, entry, claim, out);
      return;
    }
    if (claim.status === DEAD && entry.suspicion !== undefined) {
      // Whoever is suspected has the shortest time to refute here too, and a last word.
      if (entry.suspicion.confirmFully(nowMs, this.#settings.lastWordMs))
        this.#suspects.confirmed();
      return;
    }
    if (claim.address === '' && claim.run !== entry.member.run) return; // A life not met yet.
    this.#learn(nowMs, entry, claim, out);
    if (claim.status === SUSPECT) this.#suspect(nowMs, entry, claim, out);
    else if (claim.status === DEAD || claim.status === LEFT) this.#end(nowMs, entry, claim, out);
  }

  #meet(nowMs: number, claim: Claim, out: MembershipOutbox, exchanged: boolean): void {
    // A dead stranger is nobody's business; keeping it would make forgetting impossible.
    if (claim.address === '' || claim.status === DEAD || claim.status === LEFT) return;
    const { protocolMin, protocolMax } = this.#self.member;
    if (claim.protocolMin > protocolMax || claim.protocolMax < protocolMin) {
      this.counters.protocolMismatches += 1;
      return;
    }
    const member: Member = {
      ...claimFacts(claim),
      status: 'alive',
      incarnation: claim.incarnation,
    };
    let entry = this.table.add(member, nowMs);
    if (entry === undefined) {
      const oldest = this.table.longestGone();
      if (oldest !== undefined) this.#forget(oldest, out);
      entry = this.table.add(member, nowMs);
    }
    if (entry === undefined) {
      this.counters.tableFull += 1;
      return;
    }
    this.#rounds.joined(entry);
    // What a newcomer learns from a whole view is news to nobody else.
    if (!exchanged) this.#spread(nowMs, entry, '');
    out.changed('joined', entry);
    if (claim.status === SUSPECT) this.#suspect(nowMs, entry, claim, out);
  }

  /** A newer claim: its incarnation and facts, and whether the node is back. */
  #learn(nowMs: number, entry: Entry, claim: Claim, out: MembershipOutbox): void {
    const before = entry.member;
    if (claim.incarnation > before.incarnation) entry.otherLifeEnded = false;
    const facts = claim.address === '' ? before : claimFacts(claim);
    // To be suspected again, a node must have come back first.
    const status: MemberStatus =
      claim.status === ALIVE || claim.status === SUSPECT ? 'alive' : before.status;
    const after: Member = { ...facts, status, incarnation: claim.incarnation };
    const back = status !== before.status;
    const revived = back && !isLive(before);
    if (status === 'alive') this.#suspects.remove(entry);
    if (after.run !== before.run || after.address !== before.address) entry.roundTrip.reset();
    this.table.update(entry, after, nowMs);
    if (revived) this.#rounds.joined(entry);
    if (claim.status === ALIVE) this.#spread(nowMs, entry, '');
    if (isLive(after)) {
      // Not the life before: of one that was heard of only when it had ended nobody was told.
      const { toldBoot, toldRun } = entry;
      entry.toldBoot = after.boot;
      entry.toldRun = after.run;
      if (after.boot !== toldBoot) out.changed('boot', entry);
      else if (after.run !== toldRun) out.changed('run', entry);
      else if (back) out.changed('alive', entry);
      else if (factsDiffer(before, after)) out.changed('facts', entry);
    }
    // The other side of a partition, or a node that missed much: compare everything.
    if (revived) this.#exchanges.startExtra(nowMs, entry, out);
  }

  #suspect(nowMs: number, entry: Entry, claim: Claim, out: MembershipOutbox): void {
    const { member } = entry;
    this.#suspects.add(nowMs, entry, claim.accuser, this.table.liveCount);
    this.table.update(
      entry,
      { ...member, incarnation: claim.incarnation, status: 'suspect' },
      nowMs,
    );
    this.counters.suspicions += 1;
    this.#spread(nowMs, entry, claim.accuser);
    out.changed('suspect', entry);
    const isVerifier = this.table.distance(this.#self, entry) < this.#settings.verifiers;
    if (claim.accuser !== this.#self.member.id && isVerifier) this.#probe(nowMs, entry, out);
  }

  #confirm(nowMs: number, entry: Entry, claim: Claim): void {
    if (claim.accuser === '') return; // Passed on, not witnessed.
    if (!entry.suspicion?.confirm(claim.accuser)) return;
    this.#suspects.confirmed();
    this.#spread(nowMs, entry, claim.accuser, true);
  }

  /** `dead` or `left`, said by another. */
  #end(nowMs: number, entry: Entry, claim: Claim, out: MembershipOutbox): void {
    const status = statusOf(claim.status);
    const before = entry.member;
    this.#suspects.remove(entry);
    this.table.update(entry, { ...before, incarnation: claim.incarnation, status }, nowMs);
    this.#spread(nowMs, entry, claim.accuser);
    if (status === 'dead' || status === 'left') out.changed(status, entry);
  }

  #declareDead(nowMs: number, entry: Entry, out: MembershipOutbox): void {
    this.counters.deaths += 1;
    this.#suspects.remove(entry);
    this.table.update(entry, { ...entry.member, status: 'dead' }, nowMs);
    this.#spread(nowMs, entry, this.#self.member.id);
    out.changed('dead', entry);
  }

  #verify(nowMs: number, entry: Entry, claim: Claim, out: MembershipOutbox): void {
    out.post(entry.peer, FIELD_CLAIM, encodeClaim(claim, true));
    this.#prober.probe(nowMs, entry, out);
  }

  /** Passes on what is now held about a node. Newer replaces older, confirmations go beside. */
  #spread(nowMs: number, entry: Entry, accuser: string, beside = false): void {
    const short = entry.member.status !== 'alive' && entry !== this.#self;
    const body = encodeClaim(memberClaim(entry.member, accuser), short);
    this.gossip.add(entry.member.id, FIELD_CLAIM, body, beside);
    this.#rounds.news(nowMs);
  }

  /** What others say about this node. Only it may raise its incarnation, and so have the last word. */
  #aboutSelf(nowMs: number, claim: Claim, out: MembershipOutbox): void {
    const { member } = this.#self;
    if (member.status === 'left') return;
    const own = claim.run === member.run;
    if (claim.incarnation < member.incarnation) return;
    if (own && claim.status === ALIVE && claim.incarnation === member.incarnation) return;
    if (!this.#settings.refutation && own) return;
    if (!own && claim.status === ALIVE && this.#conflict.heard(nowMs, claim, out)) {
      this.counters.nameConflicts += 1;
    }
    if (own && claim.status !== ALIVE) this.awareness.add(1);
    this.counters.refutations += 1;
    this.#speak(nowMs, { ...member, incarnation: claim.incarnation + 1 });
  }

  #answerOldClaim(nowMs: number, from: PeerIndex, held: Entry, out: MembershipOutbox): void {
    const freshMs = this.#settings.probeIntervalMs;
    const sender = this.table.entry(from);
    const answer = answerToOldClaim(nowMs, this.#claim, sender, held, this.#self, freshMs);
    if (answer !== undefined) out.post(from, FIELD_CLAIM, answer);
  }

  #speak(nowMs: number, member: Member): void {
    this.table.update(this.#self, member, nowMs);
    this.#spread(nowMs, this.#self, '');
  }

  #reap(nowMs: number, out: MembershipOutbox): void {
    if (!this.#rounds.reaping(nowMs)) return;
    for (const entry of this.table.entries()) {
      if (!isLive(entry.member) && nowMs - entry.sinceMs > this.#settings.deadKeepMs) {
        if (entry !== this.#self) this.#forget(entry, out);
      }
    }
  }

  #forget(entry: Entry, out: MembershipOutbox): void {
    this.#prober.forget(entry);
    this.#rounds.forget(entry);
    this.table.remove(entry);
    out.changed('forgotten', entry);
  }
}
