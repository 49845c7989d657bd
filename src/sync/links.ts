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

/** Repeats of one call, each wait double the one before. */
const ATTEMPTS_MAX = 5;
const FIRST_REPEAT_MS = 250;
/** Between two calls to one address that nobody answered or that were only made out of doubt. */
const CALL_GAP_MS = 1_000;
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
}

/** Where links put what comes out of them. */
export interface LinkOutbox {
  datagram(address: string, bytes: Uint8Array): void;
  /** A key exchange ended well: `remote` is genuine and fresh. */
  linked(remote: Claim, called: boolean): void;
  /** The content of a genuine datagram. */
  opened(session: Session, content: Uint8Array): void;
}

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
  };
  readonly #party: HandshakeParty;
  readonly #keyring: Keyring;
  readonly #byAddress = new Map<string, Link>();
  readonly #bySession = new Map<number, Session>();
  readonly #calls = new Map<number, Link>();
  readonly #unconfirmed = new Set<Session>();
  readonly #head = new Uint8Array(ENVELOPE_HEAD_BYTES);
  #answerTokens = ANSWERS_BURST;
  #answerTokensAtMs = 0;
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
   * @returns false when it was dropped.
   */
  send(nowMs: number, address: string, id: string, packet: PacketWriter, out: LinkOutbox): boolean {
    const link = this.#link(address);
    if (link === undefined) return false;
    link.usedAtMs = nowMs;
    const { session } = link;
    if (session === undefined || session.remote.id !== id) {
      this.#call(nowMs, link, CALL_GAP_MS, out);
      if (link.call !== undefined && link.enqueue(packet.content())) return true;
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

  /** A node has a new life: what is shared with the old one is worthless. */
  forgetOtherLives(address: string, id: string, run: number): void {
    const link = this.#byAddress.get(address);
    if (link === undefined) return;
    const { session, previous } = link;
    if (previous !== undefined && previous.remote.run !== run) this.#drop(link, previous);
    if (session !== undefined && session.remote.id === id && session.remote.run !== run) {
      this.#drop(link, session);
    }
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
    if (kind === KIND_DATA) this.#data(nowMs, bytes, out);
    else if (kind === KIND_HELLO) this.#hello(nowMs, bytes, from, out);
    else if (kind === KIND_ANSWER) this.#answer(nowMs, bytes, out);
    else this.counters.unknownKind += 1;
  }

  tick(nowMs: number, out: LinkOutbox): void {
    for (const link of this.#calls.values()) {
      if (link.callAgainAtMs > nowMs) continue;
      if (link.attempt >= ATTEMPTS_MAX) this.#endCall(link);
      else this.#repeat(nowMs, link, out);
    }
    if (nowMs >= this.#sweepAtMs) this.#sweep(nowMs);
  }

  nextWakeupMs(): number {
    let wakeupMs = this.#sweepAtMs;
    for (const link of this.#calls.values()) wakeupMs = Math.min(wakeupMs, link.callAgainAtMs);
    return wakeupMs;
  }

  #data(nowMs: number, bytes: Uint8Array, out: LinkOutbox): void {
    const session = this.#bySession.get(envelopeSession(bytes));
    if (session === undefined) {
      this.counters.unknownSession += 1;
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
    let ofNode = 0;
    for (const other of this.#unconfirmed) {
      if (other.remote.id !== remote.id) continue;
      ofNode += 1;
      if (other.remoteNumber === remoteSession && other.remote.run === remote.run) {
        // The same hello again: it costs the same answer, no new keys.
        if (other.answer !== undefined) this.#send(from, other.answer, out);
        return;
      }
    }
    if (!this.#takeAnswerToken(nowMs)) {
      this.counters.helloLimited += 1;
      return;
    }
    if (ofNode >= UNCONFIRMED_PER_NODE_MAX) this.#dropOldestUnconfirmed(remote.id);
    if (this.#unconfirmed.size >= UNCONFIRMED_MAX) this.#dropOldestUnconfirmed(undefined);
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
    if (link === undefined) return;
    for (const content of link.drain()) this.#seal(session, link.address, content, out);
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
    const waiting = home.drain();
    // What waited at another address than the node's own was for whoever has that address.
    if (called !== home) called.drain();
    if (waiting.length === 0) waiting.push(new Uint8Array(0));
    for (const content of waiting) this.#seal(session, home.address, content, out);
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
    link.callAgainAtMs = nowMs + FIRST_REPEAT_MS * 2 ** link.attempt;
    link.attempt += 1;
    this.#send(link.address, link.call!.hello, out);
  }

  #endCall(link: Link): void {
    if (link.call !== undefined) this.#calls.delete(link.call.session);
    link.call = undefined;
    link.callAgainAtMs = Number.POSITIVE_INFINITY;
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

  #takeAnswerToken(nowMs: number): boolean {
    const earned = ((nowMs - this.#answerTokensAtMs) * ANSWERS_PER_SECOND) / 1_000;
    this.#answerTokens = Math.min(ANSWERS_BURST, this.#answerTokens + earned);
    this.#answerTokensAtMs = nowMs;
    if (this.#answerTokens < 1) return false;
    this.#answerTokens -= 1;
    return true;
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

  #dropOldestUnconfirmed(id: string | undefined): void {
    for (const session of this.#unconfirmed) {
      if (id !== undefined && session.remote.id !== id) continue;
      this.#dropUnconfirmed(session);
      return;
    }
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
