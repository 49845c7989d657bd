import { FIELD_ACK, FIELD_NACK, FIELD_PING, FIELD_PING_REQUEST } from '../proto/packet.ts';
import { encodeAck, encodePing, encodePingRequest } from '../proto/probe.ts';
import type { Awareness } from './awareness.ts';
import type { PeerIndex } from './core.ts';
import { type Entry, isLive, type MemberTable } from './member-table.ts';
import type { MembershipOutbox } from './membership-outbox.ts';
import type { Random } from './random.ts';
import type { MembershipSettings } from './settings.ts';

/** Probes and relayed probes under way; a healthy node has one or two. */
const PROBES_MAX = 128;
const RELAYS_MAX = 512;

interface Probe {
  readonly sequence: number;
  readonly target: Entry;
  readonly run: number;
  readonly sentAtMs: number;
  /** The answer tells the round trip only when no key exchange was in the way. */
  readonly timed: boolean;
  readonly helpers: PeerIndex[];
  nacks: number;
  indirect: boolean;
  deadlineMs: number;
}

/** A probe made for somebody else. */
interface Relay {
  readonly sequence: number;
  readonly target: PeerIndex;
  readonly asker: PeerIndex;
  readonly askerSequence: number;
  nacked: boolean;
  deadlineMs: number;
}

/**
 * One SWIM probe at a time to each target: direct, then through helpers and over a stream, then
 * failure. Every answer and failure moves the local health.
 */
export class Prober {
  readonly #table: MemberTable;
  readonly #settings: MembershipSettings;
  readonly #awareness: Awareness;
  readonly #random: Random;
  readonly #failed: (nowMs: number, target: Entry, out: MembershipOutbox) => void;
  readonly #probes = new Map<number, Probe>();
  readonly #relays = new Map<number, Relay>();
  #sequence: number;

  constructor(
    table: MemberTable,
    settings: MembershipSettings,
    awareness: Awareness,
    random: Random,
    failed: (nowMs: number, target: Entry, out: MembershipOutbox) => void,
  ) {
    this.#table = table;
    this.#settings = settings;
    this.#awareness = awareness;
    this.#random = random;
    this.#failed = failed;
    this.#sequence = 1 + random.below(2 ** 24);
  }

  get underWay(): number {
    return this.#probes.size;
  }

  /** Does nothing when that node is being probed already or too much is under way. */
  probe(nowMs: number, target: Entry, out: MembershipOutbox): void {
    if (this.#probes.size >= PROBES_MAX) return;
    for (const probe of this.#probes.values()) if (probe.target === target) return;
    const timed = out.ready(target.peer);
    const { directTimeoutMinMs, directTimeoutMaxMs } = this.#settings;
    // A key exchange costs one more round trip.
    const directMs = timed
      ? target.roundTrip.timeoutMs(directTimeoutMinMs, directTimeoutMaxMs)
      : directTimeoutMaxMs;
    const sequence = this.#nextSequence();
    this.#probes.set(sequence, {
      sequence,
      target,
      run: target.member.run,
      sentAtMs: nowMs,
      timed,
      helpers: [],
      nacks: 0,
      indirect: false,
      deadlineMs: nowMs + this.#awareness.scale(directMs),
    });
    out.post(target.peer, FIELD_PING, encodePing(sequence, target.member.run));
  }

  ack(nowMs: number, from: PeerIndex, sequence: number, out: MembershipOutbox): void {
    const relay = this.#relays.get(sequence);
    if (relay !== undefined) {
      if (relay.target !== from) return;
      this.#relays.delete(sequence);
      out.post(relay.asker, FIELD_ACK, encodeAck(relay.askerSequence));
      return;
    }
    const probe = this.#probes.get(sequence);
    if (probe === undefined) return;
    const direct = probe.target.peer === from;
    if (!direct && !probe.helpers.includes(from)) return;
    if (direct && probe.timed && !probe.indirect)
      probe.target.roundTrip.sample(nowMs - probe.sentAtMs);
    probe.target.suspicion?.answered();
    this.#probes.delete(sequence);
    this.#awareness.add(-1);
  }

  nack(from: PeerIndex, sequence: number): void {
    const probe = this.#probes.get(sequence);
    if (probe?.helpers.includes(from)) probe.nacks += 1;
  }

  /** Another node asks for a probe on its behalf. */
  relay(
    nowMs: number,
    asker: PeerIndex,
    askerSequence: number,
    target: Entry,
    out: MembershipOutbox,
  ): void {
    if (this.#relays.size >= RELAYS_MAX) return;
    const sequence = this.#nextSequence();
    const { indirectTimeoutMs } = this.#settings;
    this.#relays.set(sequence, {
      sequence,
      target: target.peer,
      asker,
      askerSequence,
      nacked: false,
      // Early enough that the nack is back before the asker gives up.
      deadlineMs: nowMs + indirectTimeoutMs * 0.6,
    });
    out.post(target.peer, FIELD_PING, encodePing(sequence, target.member.run));
  }

  tick(nowMs: number, out: MembershipOutbox): void {
    for (const probe of this.#probes.values()) {
      if (probe.deadlineMs > nowMs) continue;
      const { target } = probe;
      // The life that was probed ended or was replaced meanwhile: nothing is left to find out.
      if (!isLive(target.member) || target.member.run !== probe.run) {
        this.#probes.delete(probe.sequence);
      } else if (!probe.indirect) this.#goIndirect(nowMs, probe, out);
      else this.#giveUp(nowMs, probe, out);
    }
    for (const relay of this.#relays.values()) {
      if (relay.deadlineMs > nowMs) continue;
      if (relay.nacked) this.#relays.delete(relay.sequence);
      else {
        relay.nacked = true;
        relay.deadlineMs = nowMs + 2 * this.#settings.indirectTimeoutMs;
        out.post(relay.asker, FIELD_NACK, encodeAck(relay.askerSequence));
      }
    }
  }

  postpone(byMs: number): void {
    for (const probe of this.#probes.values()) probe.deadlineMs += byMs;
    for (const relay of this.#relays.values()) relay.deadlineMs += byMs;
  }

  /** Ends every probe of a slot that is about to be given to another node. */
  forget(entry: Entry): void {
    for (const probe of this.#probes.values()) {
      if (probe.target === entry) this.#probes.delete(probe.sequence);
    }
    for (const relay of this.#relays.values()) {
      if (relay.target === entry.peer || relay.asker === entry.peer) {
        this.#relays.delete(relay.sequence);
      }
    }
  }

  nextWakeupMs(): number {
    let wakeupMs = Number.POSITIVE_INFINITY;
    // Asked after every datagram, mostly with nothing under way.
    if (this.#probes.size > 0) {
      for (const { deadlineMs } of this.#probes.values()) {
        if (deadlineMs < wakeupMs) wakeupMs = deadlineMs;
      }
    }
    if (this.#relays.size > 0) {
      for (const { deadlineMs } of this.#relays.values()) {
        if (deadlineMs < wakeupMs) wakeupMs = deadlineMs;
      }
    }
    return wakeupMs;
  }

  #goIndirect(nowMs: number, probe: Probe, out: MembershipOutbox): void {
    const { target } = probe;
    target.roundTrip.lost();
    const wanted = Math.min(this.#settings.indirectProbes, this.#table.live().length - 2);
    const live = this.#table.live();
    for (let tries = 0; tries < 4 * wanted && probe.helpers.length < wanted; tries += 1) {
      const helper = live[this.#random.below(live.length)]!;
      if (helper.peer === this.#table.self || helper === target) continue;
      if (helper.member.status !== 'alive' || probe.helpers.includes(helper.peer)) continue;
      probe.helpers.push(helper.peer);
      out.post(
        helper.peer,
        FIELD_PING_REQUEST,
        encodePingRequest(probe.sequence, target.member.id),
      );
    }
    out.post(target.peer, FIELD_PING, encodePing(probe.sequence, probe.run));
    out.postStream(target.peer, FIELD_PING, encodePing(probe.sequence, probe.run));
    probe.indirect = true;
    probe.deadlineMs = nowMs + this.#awareness.scale(this.#settings.indirectTimeoutMs);
  }

  #giveUp(nowMs: number, probe: Probe, out: MembershipOutbox): void {
    this.#probes.delete(probe.sequence);
    // Helpers that answer "no" show that our own network works; silent ones, that it may not.
    const silent = probe.helpers.length - probe.nacks;
    this.#awareness.add(probe.helpers.length === 0 ? 1 : silent);
    // The other side may have restarted and lost the session.
    out.doubt(probe.target.peer);
    this.#failed(nowMs, probe.target, out);
  }

  #nextSequence(): number {
    this.#sequence = this.#sequence >= 0xffff_fff0 ? 1 : this.#sequence + 1;
    return this.#sequence;
  }
}
