import type { Claim } from '../proto/claim.ts';
import {
  COUNTER_MAX,
  ENVELOPE_HEAD_BYTES,
  envelopeCounter,
  envelopeFault,
  envelopeKind,
  envelopeSession,
  KIND_ANSWER,
  KIND_DATA,
  KIND_HELLO,
  writeEnvelopeHead,
} from '../proto/envelope.ts';
import type { PacketWriter } from '../proto/packet.ts';
import { DATAGRAM_BYTES_MAX, PEERS_MAX } from './core.ts';
import { type HandshakeParty, makeAnswer, makeCall, readAnswer, readHello } from './handshake.ts';
import type { Keyring } from './keyring.ts';
import { Link, Session } from './link.ts';
import { Pace } from './pace.ts';
import { Unconfirmed } from './unconfirmed.ts';

/** Repeats of one call, each wait double the one before. */
const ATTEMPTS_MAX = 5;
const FIRST_REPEAT_MS = 250;
/** Between two calls to one address that nobody answered or that were only made out of doubt. */
const CALL_GAP_MS = 1_000;
/**
 * Datagrams of a session that we do not have come from an address that we know: the other side may be
 * sending into the void. Not before our own session is this old (what comes may have been on its
 * way), nor more often, nor to more addresses per second: anybody can write a sender's address.
 */
const VOID_GAP_MS = 2_000;
const VOID_CALLS_PER_SECOND = 10;
/** An unconfirmed session is dropped after this. */
const UNCONFIRMED_MS = 10_000;
const UNCONFIRMED_MAX = 2 * PEERS_MAX;
const UNCONFIRMED_PER_NODE_MAX = 4;
/** Hellos that cost a Diffie–Hellman, per second and at once. Only key holders get this far. */
const ANSWERS_PER_SECOND = 500;
const ANSWERS_BURST = 1_000;
/** Sessions are replaced after this, so that keys do not live long. */
const SESSION_MS = 3_600_000;
const SESSION_COUNTER_MAX = Math.min(2 ** 40, COUNTER_MAX);
/** Links unused this long are closed. */
const IDLE_MS = 1_800_000;
const SWEEP_MS = 60_000;
const LINKS_MAX = 4 * PEERS_MAX;

/** How datagrams ended. Each hostile one raises exactly one of these and changes nothing else. */
export interface LinkCounters {
  datagramsIn: number;
  datagramsOut: number;
  bytesIn: number;
  bytesOut: number;
  oversized: number;
  truncated: number;
  unknownVersion: number;
  foreignLabel: number;
  unknownKind: number;
  unknownSession: number;
  replayed: number;
  forged: number;
  wrongKey: number;
  wrongIdentity: number;
  malformed: number;
  self: number;
  helloLimited: number;
  calls: number;
  answers: number;
  sessions: number;
  queueFull: number;
  /** Packets that waited for a key exchange which another life, or another node, answered. */
  queueOtherLife: number;
  /** Calls made because somebody sends under a session that is gone here. */
  voidCalls: number;
}

/** Where links put what comes out of them. */
export interface LinkOutbox {
  datagram(address: string, bytes: Uint8Array): void;
  /** A key exchange ended well: `remote` is genuine and fresh. */
  linked(remote: Claim, called: boolean): void;
  /** The content of a genuine datagram. */
  opened(session: Session, content: Uint8Array): void;
}

/** A node and its life as the sender holds it. A member is one. */
export interface Receiver {
  readonly address: string;
  readonly id: string;
  readonly run: number;
}

const NOTHING = new Uint8Array(0);

/** Sessions with all other nodes: calls them, answers them, seals and opens datagrams. */
export class Links {
  readonly counters: LinkCounters = {
    datagramsIn: 0,
    datagramsOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    oversized: 0,
    truncated: 0,
    unknownVersion: 0,
    foreignLabel: 0,
    unknownKind: 0,
    unknownSession: 0,
    replayed: 0,
    forged: 0,
    wrongKey: 0,
    wrongIdentity: 0,
    malformed: 0,
    self: 0,
    helloLimited: 0,
    calls: 0,
    answers: 0,
    sessions: 0,
    queueFull: 0,
    queueOtherLife: 0,
    voidCalls: 0,
  };
  readonly #party: HandshakeParty;
  readonly #keyring: Keyring;
  readonly #byAddress = new Map<string, Link>();
  readonly #bySession = new Map<number, Session>();
  readonly #calls = new Map<number, Link>();
  /** When the first call is repeated or given up, unless that call is gone: then look again. */
  #callAtMs = Number.POSITIVE_INFINITY;
  #callAtStale = false;
  readonly #unconfirmed = new Unconfirmed();
  readonly #head = new Uint8Array(ENVELOPE_HEAD_BYTES);
  readonly #answerTokens = new Pace(ANSWERS_PER_SECOND, ANSWERS_BURST);
  readonly #voidTokens = new Pace(VOID_CALLS_PER_SECOND, 2 * VOID_CALLS_PER_SECOND);
  #sweepAtMs = 0;

  constructor(party: HandshakeParty, keyring: Keyring) {
    this.#party = party;
    this.#keyring = keyring;
  }

  get sessions(): number {
    return this.#bySession.size;
  }

  /** True when a packet to `id` at that address needs no key exchange. */
  ready(address: string, id: string): boolean {
    return this.#byAddress.get(address)?.session?.remote.id === id;
  }

  /**
   * Seals a packet and sends it, or keeps it for the key exchange that it starts.
   * @param to Whom it is meant for: what waits goes to no other life.
   * @returns false when it was dropped.
   */
  send(nowMs: number, to: Receiver, packet: PacketWriter, out: LinkOutbox): boolean {
    const { address, id, run } = to;
    const link = this.#link(address);
    if (link === undefined) return false;
    link.usedAtMs = nowMs;
    const { session } = link;
    if (session === undefined || session.remote.id !== id) {
      this.#call(nowMs, link, CALL_GAP_MS, out);
      if (link.call !== undefined && link.enqueue(id, run, packet.content())) return true;
      this.counters.queueFull += 1;
      return false;
    }
    this.#seal(session, address, packet.content(), out);
    if (
      session.keyId !== this.#keyring.used.id ||
      nowMs - session.createdAtMs > SESSION_MS ||
      session.counter > SESSION_COUNTER_MAX
    ) {
      this.#call(nowMs, link, 10 * CALL_GAP_MS, out);
    }
    return session.counter <= COUNTER_MAX;
  }

  /** Starts a key exchange with whoever has that address, unless one was started a moment ago. */
  contact(nowMs: number, address: string, out: LinkOutbox): void {
    const link = this.#link(address);
    if (link === undefined) return;
    link.usedAtMs = nowMs;
    this.#call(nowMs, link, CALL_GAP_MS, out);
  }

  /**
   * Nothing is sent any more under what is shared with another life than `run` of that node. What
   * comes under it is still read: who is wrong about the life may be we.
   */
  forgetOtherLives(address: string, id: string, run: number): void {
    const link = this.#byAddress.get(address);
    if (link === undefined) return;
    const { session, previous } = link;
    if (session === undefined || session.remote.id !== id || session.remote.run === run) {
      if (previous !== undefined && previous.remote.run !== run) this.#drop(link, previous);
      return;
    }
    const isPreviousRight = previous?.remote.id === id && previous.remote.run === run;
    if (previous !== undefined && !isPreviousRight) this.#drop(link, previous);
    link.session = isPreviousRight ? previous : undefined;
    link.previous = session;
    session.outlived = true;
  }

  /** Ends every session made under a key that is no longer in the keyring. */
  dropRetired(): void {
    for (const link of this.#byAddress.values()) {
      const { session, previous, call } = link;
      if (previous !== undefined && !this.#keyring.get(previous.keyId)) this.#drop(link, previous);
      if (session !== undefined && !this.#keyring.get(session.keyId)) this.#drop(link, session);
      if (call !== undefined && !this.#keyring.get(call.key.id)) this.#endCall(link);
    }
    for (const session of this.#unconfirmed) {
      if (!this.#keyring.get(session.keyId)) this.#dropUnconfirmed(session);
    }
  }

  /** One datagram from the socket. */
  receive(nowMs: number, bytes: Uint8Array, from: string, out: LinkOutbox): void {
    this.counters.datagramsIn += 1;
    this.counters.bytesIn += bytes.length;
    const fault = envelopeFault(bytes, this.#party.labelHash, DATAGRAM_BYTES_MAX);
    if (fault !== undefined) {
      this.counters[fault] += 1;
      return;
    }
    const kind = envelopeKind(bytes);
    if (kind === KIND_DATA) this.#data(nowMs, bytes, from, out);
    else if (kind === KIND_HELLO) this.#hello(nowMs, bytes, from, out);
    else if (kind === KIND_ANSWER) this.#answer(nowMs, bytes, out);
    else this.counters.unknownKind += 1;
  }

  tick(nowMs: number, out: LinkOutbox): void {
    if (nowMs >= this.#nextCallMs()) {
      for (const link of this.#calls.values()) {
        if (link.callAgainAtMs > nowMs) continue;
        if (link.attempt >= ATTEMPTS_MAX) this.#endCall(link);
        else this.#repeat(nowMs, link, out);
      }
    }
    if (nowMs >= this.#sweepAtMs) this.#sweep(nowMs);
  }

  nextWakeupMs(): number {
    return Math.min(this.#sweepAtMs, this.#nextCallMs());
  }

  #nextCallMs(): number {
    if (this.#callAtStale) {
      this.#callAtStale = false;
      this.#callAtMs = Number.POSITIVE_INFINITY;
      for (const { callAgainAtMs } of this.#calls.values()) {
        if (callAgainAtMs < this.#callAtMs) this.#callAtMs = callAgainAtMs;
      }
    }
    return this.#callAtMs;
  }

  #callAgainAt(link: Link, atMs: number): void {
    if (link.callAgainAtMs <= this.#callAtMs) this.#callAtStale = true;
    link.callAgainAtMs = atMs;
    this.#callAtMs = Math.min(this.#callAtMs, atMs);
  }

  #data(nowMs: number, bytes: Uint8Array, from: string, out: LinkOutbox): void {
    const session = this.#bySession.get(envelopeSession(bytes));
    if (session === undefined) {
      this.counters.unknownSession += 1;
      this.#callFromVoid(nowMs, from, out);
      return;
    }
    const counter = envelopeCounter(bytes);
    if (!session.window.isNew(counter)) {
      this.counters.replayed += 1;
      return;
    }
    const content = session.opener.open(bytes, ENVELOPE_HEAD_BYTES, counter);
    if (content === undefined) {
      this.counters.forged += 1;
      return;
    }
    session.window.mark(counter);
    if (!session.confirmed) this.#confirm(nowMs, session, out);
    out.opened(session, content);
  }

  /** Two key exchanges that crossed, or a life that we were wrong about, can end in such a silence. */
  #callFromVoid(nowMs: number, from: string, out: LinkOutbox): void {
    const link = this.#byAddress.get(from);
    if (link === undefined || link.call !== undefined) return;
    const sinceMs = Math.max(link.calledAtMs, link.session?.createdAtMs ?? 0);
    if (nowMs - sinceMs < VOID_GAP_MS || !this.#voidTokens.take(nowMs, 1)) return;
    this.counters.voidCalls += 1;
    this.#call(nowMs, link, VOID_GAP_MS, out);
  }

  #hello(nowMs: number, bytes: Uint8Array, from: string, out: LinkOutbox): void {
    const key = this.#keyring.get(envelopeSession(bytes));
    if (key === undefined) {
      this.counters.wrongKey += 1;
      return;
    }
    const hello = readHello(this.#party, key, bytes);
    if (typeof hello === 'string') {
      this.counters[hello] += 1;
      return;
    }
    const { remote, remoteSession } = hello;
    const ofNode = this.#unconfirmed.of(remote.id);
    for (const other of ofNode) {
      if (other.remoteNumber === remoteSession && other.remote.run === remote.run) {
        // The same hello again: it costs the same answer, no new keys.
        if (other.answer !== undefined) this.#send(from, other.answer, out);
        return;
      }
    }
    if (!this.#answerTokens.take(nowMs, 1)) {
      this.counters.helloLimited += 1;
      return;
    }
    if (ofNode.length >= UNCONFIRMED_PER_NODE_MAX) {
      this.#dropUnconfirmed(this.#unconfirmed.oldest(remote.id)!);
    }
    if (this.#unconfirmed.size >= UNCONFIRMED_MAX) {
      this.#dropUnconfirmed(this.#unconfirmed.oldest()!);
    }
    const number = this.#freeNumber();
    const answered = makeAnswer(this.#party, key, bytes, remote, number);
    if (typeof answered === 'string') {
      this.counters[answered] += 1;
      return;
    }
    const session = new Session(number, key.id, answered.agreement, false, nowMs);
    session.answer = answered.answer;
    this.#unconfirmed.add(session);
    this.#bySession.set(number, session);
    this.counters.answers += 1;
    this.#send(from, answered.answer, out);
  }

  #answer(nowMs: number, bytes: Uint8Array, out: LinkOutbox): void {
    const link = this.#calls.get(envelopeSession(bytes));
    if (link?.call === undefined) {
      this.counters.unknownSession += 1;
      return;
    }
    const { call } = link;
    const agreement = readAnswer(this.#party, call, bytes);
    if (typeof agreement === 'string') {
      this.counters[agreement] += 1;
      return;
    }
    this.#endCall(link);
    const session = new Session(call.session, call.key.id, agreement, true, nowMs);
    this.#bySession.set(session.number, session);
    const home = this.#install(nowMs, session);
    out.linked(session.remote, true);
    // The other side may use the session only once it saw that we can.
    if (home !== undefined) this.#flush(session, home, link, out);
    else this.#bySession.delete(session.number);
  }

  #confirm(nowMs: number, session: Session, out: LinkOutbox): void {
    session.confirmed = true;
    session.answer = undefined;
    this.#unconfirmed.delete(session);
    const link = this.#install(nowMs, session);
    out.linked(session.remote, false);
    if (link !== undefined) this.#sealWaiting(session, link, out);
  }

  /** Puts a session where packets to its node look for it. */
  #install(nowMs: number, session: Session): Link | undefined {
    const link = this.#link(session.remote.address);
    if (link === undefined) return undefined;
    link.usedAtMs = nowMs;
    if (link.previous !== undefined) this.#bySession.delete(link.previous.number);
    link.previous = link.session;
    link.session = session;
    this.counters.sessions += 1;
    return link;
  }

  #flush(session: Session, home: Link, called: Link, out: LinkOutbox): void {
    // What waited at another address than the node's own was for whoever has that address.
    if (called !== home) called.drain();
    // The other side counts us as present only when it sees that we have the keys.
    if (this.#sealWaiting(session, home, out) > 0) return;
    this.#seal(session, home.address, NOTHING, out);
  }

  /** @returns how many packets went out. */
  #sealWaiting(session: Session, link: Link, out: LinkOutbox): number {
    let sealed = 0;
    for (const { id, run, content } of link.drain()) {
      if (id === session.remote.id && run === session.remote.run) {
        this.#seal(session, link.address, content, out);
        sealed += 1;
      } else this.counters.queueOtherLife += 1;
    }
    return sealed;
  }

  #call(nowMs: number, link: Link, gapMs: number, out: LinkOutbox): void {
    if (link.call !== undefined || nowMs - link.calledAtMs < gapMs) return;
    link.calledAtMs = nowMs;
    link.attempt = 0;
    this.#placeCall(link);
    this.#repeat(nowMs, link, out);
  }

  #placeCall(link: Link): void {
    const number = this.#freeNumber();
    link.call = makeCall(this.#party, this.#keyring.forAttempt(link.attempt), number);
    this.#calls.set(number, link);
    this.counters.calls += 1;
  }

  #repeat(nowMs: number, link: Link, out: LinkOutbox): void {
    if (link.call!.key !== this.#keyring.forAttempt(link.attempt)) {
      this.#calls.delete(link.call!.session);
      this.#placeCall(link);
    }
    this.#callAgainAt(link, nowMs + FIRST_REPEAT_MS * 2 ** link.attempt);
    link.attempt += 1;
    this.#send(link.address, link.call!.hello, out);
  }

  #endCall(link: Link): void {
    if (link.call !== undefined) this.#calls.delete(link.call.session);
    link.call = undefined;
    this.#callAgainAt(link, Number.POSITIVE_INFINITY);
    if (link.session === undefined && link.attempt >= ATTEMPTS_MAX) link.drain();
  }

  #seal(session: Session, address: string, content: Uint8Array, out: LinkOutbox): void {
    writeEnvelopeHead(
      this.#head,
      KIND_DATA,
      this.#party.labelHash,
      session.remoteNumber,
      session.counter,
    );
    const sealed = session.sealer.seal(this.#head, content, session.counter);
    session.counter += 1;
    this.#send(address, sealed, out);
  }

  #send(address: string, bytes: Uint8Array, out: LinkOutbox): void {
    this.counters.datagramsOut += 1;
    this.counters.bytesOut += bytes.length;
    out.datagram(address, bytes);
  }

  #link(address: string): Link | undefined {
    let link = this.#byAddress.get(address);
    if (link === undefined) {
      if (this.#byAddress.size >= LINKS_MAX) return undefined;
      link = new Link(address);
      this.#byAddress.set(address, link);
    }
    return link;
  }

  #freeNumber(): number {
    for (;;) {
      const number = this.#party.suite.randomU32();
      if (number !== 0 && !this.#bySession.has(number) && !this.#calls.has(number)) return number;
    }
  }

  #drop(link: Link, session: Session): void {
    if (link.session === session) link.session = undefined;
    if (link.previous === session) link.previous = undefined;
    this.#bySession.delete(session.number);
  }

  #dropUnconfirmed(session: Session): void {
    this.#unconfirmed.delete(session);
    this.#bySession.delete(session.number);
  }

  #sweep(nowMs: number): void {
    this.#sweepAtMs = nowMs + (this.#unconfirmed.size > 0 ? UNCONFIRMED_MS : SWEEP_MS);
    for (const session of this.#unconfirmed) {
      if (nowMs - session.createdAtMs > UNCONFIRMED_MS) this.#dropUnconfirmed(session);
    }
    for (const link of this.#byAddress.values()) {
      if (nowMs - link.usedAtMs < IDLE_MS) continue;
      if (link.session !== undefined) this.#drop(link, link.session);
      if (link.previous !== undefined) this.#drop(link, link.previous);
      this.#endCall(link);
      this.#byAddress.delete(link.address);
    }
  }
}
