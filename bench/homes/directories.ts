/** Directories on a virtual network, without sockets and encryption: what they cost by themselves. */
import { KEY_WORDS } from '../../src/proto/ticket-key.ts';
import type { Member, MeshEvent, Outbox, PeerIndex, PeerTable } from '../../src/sync/core.ts';
import { Directory } from '../../src/sync/directory/directory.ts';
import { Random } from '../../src/sync/random.ts';
import { memberNamed } from './member.ts';

/** One way. */
const DELAY_MS = 1;
const SETTLE_MS = 15_000;

export class Directories {
  readonly nodes: Directory[];
  /** Bodies of frames sent, and of streams. */
  readonly sent = { datagrams: 0, bytes: 0, streamBytes: 0 };
  /** Longest event since {@link forgetEvents}, milliseconds of processor time. */
  longestEventMs = 0;
  nowMs = 0;
  readonly #members: Member[];
  readonly #random: Random;
  readonly #loss: number;
  readonly #capacity: number;
  readonly #timed: boolean;
  readonly #queue: { atMs: number; to: PeerIndex; event: MeshEvent }[] = [];
  #head = 0;
  readonly #outboxes: Outbox[];
  readonly #key = new Uint32Array(KEY_WORDS);
  #flows = 0;

  /** @param timed Measures every event, which costs time itself. */
  constructor(nodes: number, loss: number, capacity: number, seed: number, timed = false) {
    this.#random = new Random(seed);
    this.#loss = loss;
    this.#capacity = capacity;
    this.#timed = timed;
    this.#members = Array.from({ length: nodes }, (_, i) => memberNamed(`node-${i}`));
    this.nodes = this.#members.map((_, i) => this.#create(i));
    this.#outboxes = this.#members.map((_, i) => this.#outboxOf(i));
    this.#key[2] = 0xffff0000;
    this.#key[6] = 0xffff0000;
    this.#key[7] = 0x0a0200c0;
    for (const i of this.nodes.keys()) {
      for (const peer of this.nodes.keys()) if (peer !== i) this.#introduce(i, peer, 'joined');
    }
    this.advance(SETTLE_MS);
  }

  /** The owner, node 0, gets that many flows of random buckets. */
  publish(count: number): void {
    for (let i = 0; i < count; i += 1) {
      this.#key[3] = this.#random.u32();
      this.#key[8] = this.#random.u32();
      this.#flows += 1;
      const bucket = this.#random.below(65_536);
      this.nodes[0]!.publish(this.nowMs, bucket, this.#key, this.#flows, this.#outboxes[0]!);
    }
  }

  /** A node's process begins anew, with nothing in its memory. */
  restart(peer: PeerIndex): void {
    const member = { ...this.#members[peer]!, run: this.#members[peer]!.run + 1 };
    this.#members[peer] = member;
    this.nodes[peer] = this.#create(peer);
    for (const other of this.nodes.keys()) {
      if (other === peer) continue;
      this.#introduce(peer, other, 'joined');
      this.#introduce(other, peer, 'run');
    }
  }

  forgetEvents(): void {
    this.longestEventMs = 0;
  }

  advance(toMs: number): void {
    for (; this.nowMs < toMs; this.nowMs += 1) {
      while ((this.#queue[this.#head]?.atMs ?? Number.POSITIVE_INFINITY) <= this.nowMs) {
        const { to, event } = this.#queue[this.#head]!;
        this.#head += 1;
        this.#handle(to, event);
      }
      if (this.#head > 1_000) this.#queue.splice(0, this.#head);
      if (this.#queue.length === 0 || this.#head > 1_000) this.#head = 0;
      for (const [i, node] of this.nodes.entries()) {
        const wakeMs = node.nextWakeupMs();
        if (wakeMs !== undefined && wakeMs <= this.nowMs) this.#handle(i, { type: 'tick' });
      }
    }
  }

  #create(self: PeerIndex): Directory {
    const peers: PeerTable = {
      self,
      get: (peer) => this.#members[peer],
      indexOf: (id) => this.#members.findIndex((member) => member.id === id),
      indices: () => this.#members.map((_, i) => i),
      rttMs: () => DELAY_MS * 2,
    };
    const random = this.#random.fork();
    return new Directory(this.nowMs, { peers, random, capacity: this.#capacity });
  }

  #introduce(to: PeerIndex, peer: PeerIndex, change: 'joined' | 'run'): void {
    this.#handle(to, { type: 'member', change, peer, member: this.#members[peer]! });
  }

  #handle(to: PeerIndex, event: MeshEvent): void {
    const node = this.nodes[to]!;
    if (!this.#timed) {
      node.handle(this.nowMs, event, this.#outboxes[to]!);
      return;
    }
    // Time on the processor: other programs on this machine shall not count.
    const from = process.threadCpuUsage();
    node.handle(this.nowMs, event, this.#outboxes[to]!);
    const { user, system } = process.threadCpuUsage(from);
    this.longestEventMs = Math.max(this.longestEventMs, (user + system) / 1_000);
  }

  #outboxOf(from: PeerIndex): Outbox {
    const later = (to: PeerIndex, event: MeshEvent) => {
      this.#queue.push({ atMs: this.nowMs + DELAY_MS, to, event });
    };
    return {
      send: (to, channel, body) => {
        this.sent.datagrams += 1;
        this.sent.bytes += body.length;
        if (!this.#random.chance(this.#loss)) {
          later(to, { type: 'frame', from, channel, body: body.slice() });
        }
        return true;
      },
      stream: (to, channel, body) => {
        this.sent.streamBytes += body.length;
        later(to, { type: 'stream', from, channel, body: body.slice() });
        return true;
      },
      broadcast() {},
      notify() {},
    };
  }
}
