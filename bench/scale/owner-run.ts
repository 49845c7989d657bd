/**
 * One owner publishes again what moved to new homes: the real directory of the owner, and of every
 * home the real receiving end of its stream. Time is virtual, the network has the matrix's delays.
 */
import { ENVELOPE_BYTES } from '../../src/proto/envelope.ts';
import { fieldBytes } from '../../src/proto/packet.ts';
import { readFrame, writeAck } from '../../src/proto/ticket-frame.ts';
import { KEY_WORDS } from '../../src/proto/ticket-key.ts';
import { readPart } from '../../src/proto/ticket-part.ts';
import { FRAME_BYTES_MAX, type Member, type Outbox, type PeerTable } from '../../src/sync/core.ts';
import { CHANNEL_ACK, CHANNEL_FRAME } from '../../src/sync/directory/channels.ts';
import { Directory } from '../../src/sync/directory/directory.ts';
import { IN_STREAM_TIMES, InStream } from '../../src/sync/directory/in-stream.ts';
import { Random } from '../../src/sync/random.ts';
import { memberNamed } from '../homes/member.ts';

const JOIN_MS = 12_000;
/** Flows put into the directory per virtual millisecond while it is filled. */
const FILL_PER_MS = 1_000;
const GIVE_UP_MS = 60_000;

export interface OwnerLoad {
  readonly ids: readonly string[];
  /** Which of them is the owner. */
  readonly owner: number;
  readonly flows: number;
  readonly loss: number;
  /** One way from the owner to a node, milliseconds. */
  readonly delayMs: (node: number) => number;
  readonly seed: number;
}

export interface Republication {
  readonly nodesGone: number;
  /** Tickets of this owner that went to a new home. */
  readonly tickets: number;
  /** From the first ticket sent until the last has arrived. */
  readonly tookMs: number;
  /** Everything on the wire both ways, encryption included, IP and UDP headers not. */
  readonly bytes: number;
  readonly datagrams: number;
}

/** Runs on its own clock. Make it, then let nodes go again and again. */
export class OwnerRun {
  readonly #load: OwnerLoad;
  readonly #directory: Directory;
  readonly #members: (Member | undefined)[];
  readonly #homes: InStream[] = [];
  readonly #random: Random;
  readonly #out: Outbox;
  /** In order of arrival per millisecond. */
  readonly #arrivals = new Map<number, (() => void)[]>();
  readonly #ack = new Uint8Array(FRAME_BYTES_MAX);
  #nowMs = 0;
  #bytes = 0;
  #datagrams = 0;
  #records = 0;
  #lastMs = 0;

  constructor(load: OwnerLoad) {
    const { ids, owner, seed } = load;
    this.#load = load;
    this.#random = new Random(seed);
    this.#members = ids.map((id) => memberNamed(id));
    const indices = ids.map((_, i) => i);
    const peers: PeerTable = {
      self: owner,
      get: (peer) => this.#members[peer],
      indexOf: (id) => {
        const at = ids.indexOf(id);
        return at < 0 ? undefined : at;
      },
      indices: () => indices,
      rttMs: (peer) => 2 * load.delayMs(peer),
    };
    this.#out = {
      send: (to, channel, body) => {
        this.#count(channel, body.length);
        if (channel === CHANNEL_FRAME && !this.#random.chance(load.loss)) {
          const copy = body.slice();
          this.#later(load.delayMs(to), () => this.#receive(to, copy));
        }
        return true;
      },
      // Snapshots would only follow if the frames were not enough.
      stream: () => false,
      broadcast() {},
      notify() {},
    };
    this.#directory = new Directory(0, {
      peers,
      random: this.#random.fork(),
      capacity: load.flows + 1,
      // Digests have their own measurement.
      antiEntropy: false,
    });
    for (const i of indices) {
      this.#homes.push(new InStream(IN_STREAM_TIMES));
      if (i !== owner) this.#member(i, 'joined');
    }
    this.#advance(JOIN_MS);
    this.#fill();
  }

  /** Lets nodes say good-bye, waits for the last ticket, and takes them back. */
  depart(gone: readonly number[]): Republication {
    const sent = () => this.#directory.counters.recordsRepublished!;
    const { homes } = this.#directory;
    const before = { bytes: this.#bytes, datagrams: this.#datagrams, sent: sent() };
    const recordsBefore = this.#records;
    const version = homes.version;
    for (const peer of gone) this.#member(peer, 'left');
    while (homes.version === version) this.#advance(this.#nowMs + 1);
    const startMs = this.#nowMs;
    const done = () => this.#records - recordsBefore >= sent() - before.sent;
    // Nothing is left of a table's change once the owner has looked at every bucket.
    do this.#advance(this.#nowMs + 50);
    while (!(done() && this.#nowMs > this.#lastMs + 100) && this.#nowMs < startMs + GIVE_UP_MS);
    const tickets = sent() - before.sent;
    const result = {
      nodesGone: gone.length,
      tickets,
      tookMs: done() ? Math.max(0, this.#lastMs - startMs) : Number.NaN,
      bytes: this.#bytes - before.bytes,
      datagrams: this.#datagrams - before.datagrams,
    };
    for (const peer of gone) this.#member(peer, 'alive');
    this.#advance(this.#nowMs + JOIN_MS);
    return result;
  }

  #member(peer: number, change: 'joined' | 'left' | 'alive'): void {
    const status = change === 'left' ? 'left' : 'alive';
    const member = memberNamed(this.#load.ids[peer]!, { status });
    this.#members[peer] = member;
    // A stream that was closed begins anew, at both ends.
    if (change !== 'left') this.#homes[peer] = new InStream(IN_STREAM_TIMES);
    const event = { type: 'member', change, peer, member } as const;
    this.#directory.handle(this.#nowMs, event, this.#out);
  }

  #fill(): void {
    const key = new Uint32Array(KEY_WORDS);
    key[2] = 0xffff0000;
    key[6] = 0xffff0000;
    key[7] = 0x0a0200c0;
    for (let n = 1; n <= this.#load.flows; n++) {
      key[3] = Math.imul(n, 0x9e3779b1) >>> 0;
      key[8] = this.#random.u32();
      this.#directory.publish(this.#nowMs, this.#random.below(65_536), key, n, this.#out);
      if (n % FILL_PER_MS === 0) this.#advance(this.#nowMs + 1);
    }
    this.#advance(this.#nowMs + 3_000);
  }

  #receive(home: number, body: Uint8Array): void {
    const stream = this.#homes[home]!;
    const frame = readFrame(body);
    if (frame === undefined || !stream.adopt(frame.stream)) return;
    const { own, repeated } = stream.accept(this.#nowMs, frame);
    const reader = { born: () => this.#arrived(), ended: () => {} };
    if (repeated) readPart(body, frame.repeatedAt, reader);
    if (own) readPart(body, frame.at, reader);
    stream.settle();
  }

  #arrived(): void {
    this.#records++;
    this.#lastMs = this.#nowMs;
  }

  #acknowledge(): void {
    const { loss, delayMs } = this.#load;
    for (const [home, stream] of this.#homes.entries()) {
      if (this.#nowMs < stream.ackAtMs) continue;
      const length = writeAck(this.#ack, stream.takeAck(this.#nowMs));
      this.#count(CHANNEL_ACK, length);
      if (this.#random.chance(loss)) continue;
      const event = {
        type: 'frame',
        from: home,
        channel: CHANNEL_ACK,
        body: this.#ack.slice(0, length),
      } as const;
      this.#later(delayMs(home), () => this.#directory.handle(this.#nowMs, event, this.#out));
    }
  }

  #count(channel: number, bodyBytes: number): void {
    this.#datagrams++;
    this.#bytes += ENVELOPE_BYTES + fieldBytes(channel, bodyBytes);
  }

  #later(inMs: number, act: () => void): void {
    const atMs = this.#nowMs + Math.max(1, Math.round(inMs));
    const acts = this.#arrivals.get(atMs);
    if (acts === undefined) this.#arrivals.set(atMs, [act]);
    else acts.push(act);
  }

  #advance(untilMs: number): void {
    while (this.#nowMs < untilMs) {
      this.#nowMs++;
      for (const act of this.#arrivals.get(this.#nowMs) ?? []) act();
      this.#arrivals.delete(this.#nowMs);
      this.#acknowledge();
      const wakeMs = this.#directory.nextWakeupMs();
      if (wakeMs !== undefined && wakeMs <= this.#nowMs) {
        this.#directory.handle(this.#nowMs, { type: 'tick' }, this.#out);
      }
    }
  }
}
