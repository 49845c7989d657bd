/**
 * A small world for directories: a seeded network with loss, doubles and reordering, virtual time,
 * and membership that the test dictates. The mesh's own simulator covers the whole mesh; this one
 * only the directory, so that its tests say what went wrong.
 */
import assert from 'node:assert/strict';
import { memberNamed } from '../../bench/homes/member.ts';
import { flowKey, flowNumber } from '../../bench/mesh/flow.ts';
import { PROTOCOL_MAX } from '../../src/proto/protocol.ts';
import { KEY_WORDS } from '../../src/proto/ticket-key.ts';
import type {
  Member,
  MemberChange,
  MemberStatus,
  MeshEvent,
  MeshNotice,
  Outbox,
  PeerIndex,
  PeerTable,
} from '../../src/sync/core.ts';
import { FRAME_BYTES_MAX, STREAM_BYTES_MAX } from '../../src/sync/core.ts';
import { Directory } from '../../src/sync/directory/directory.ts';
import type { FlowFound } from '../../src/sync/directory/finder.ts';
import type { DirectoryOptions } from '../../src/sync/directory/settings.ts';
import { Random } from '../../src/sync/random.ts';
import type { SessionSettings } from '../../src/sync/session-settings.ts';
import { Sessions } from '../../src/sync/sessions.ts';
import { NONE } from '../../src/sync/ticket-columns.ts';

export interface Weather {
  loss: number;
  double: number;
  delayMs: number;
  /** Added to each datagram's delay, so that datagrams overtake each other. */
  jitterMs: number;
}

export interface WorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly weather?: Partial<Weather>;
  /** Highest protocol of each node, by number; the present one where there is none. */
  readonly protocols?: readonly number[];
  readonly directory?: Partial<DirectoryOptions>;
  readonly sessions?: Partial<SessionSettings>;
}

interface Parcel {
  readonly atMs: number;
  readonly order: number;
  readonly to: Node;
  readonly life: number;
  readonly from: Node;
  readonly fromLife: number;
  readonly event: MeshEvent;
}

export interface Flow {
  readonly n: number;
  readonly generation: number;
}

export class Node {
  readonly world: World;
  readonly number: number;
  readonly id: string;
  readonly peers: Peers;
  /** What the kernel of this node holds: the truth that tickets must follow. */
  readonly flows = new Map<number, Flow>();
  readonly found: FlowFound[] = [];
  readonly notices: MeshNotice[] = [];
  directory!: Directory;
  sessions!: Sessions;
  up = true;
  life = 0;
  boot = 1;
  run = 1;
  generation = 0;

  constructor(world: World, number: number, count: number) {
    this.world = world;
    this.number = number;
    this.id = `node-${number}`;
    // Indices mean something only inside a node: give each its own.
    this.peers = new Peers((number * 3 + 1) % count);
  }

  indexOf(other: Node): PeerIndex {
    return this.peers.indexOf(other.id)!;
  }

  handle(event: MeshEvent): void {
    const { nowMs } = this.world;
    const out = this.world.outbox(this);
    for (const part of [this.directory, this.sessions]) {
      if ('channel' in event && !part.channels.includes(event.channel)) continue;
      part.handle(nowMs, event, out);
    }
  }

  nextWakeupMs(): number | undefined {
    const tickets = this.directory.nextWakeupMs() ?? Number.POSITIVE_INFINITY;
    const sessions = this.sessions.nextWakeupMs() ?? Number.POSITIVE_INFINITY;
    const next = Math.min(tickets, sessions);
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  /** A flow is accepted here. */
  accept(n: number): void {
    const flow = { n, generation: ++this.generation };
    this.flows.set(n, flow);
    this.publish(flow);
  }

  publish(flow: Flow): void {
    const bucket = this.world.bucketOf(flow.n);
    const out = this.world.outbox(this);
    this.directory.publish(this.world.nowMs, bucket, flowKey(flow.n), flow.generation, out);
  }

  close(n: number): void {
    const flow = this.flows.get(n);
    if (flow === undefined) return;
    this.flows.delete(n);
    const bucket = this.world.bucketOf(n);
    const out = this.world.outbox(this);
    this.directory.end(this.world.nowMs, bucket, flowKey(n), flow.generation, out);
  }

  find(n: number, except = -1): ReturnType<Directory['find']> {
    const bucket = this.world.bucketOf(n);
    const out = this.world.outbox(this);
    return this.directory.find(this.world.nowMs, bucket, flowKey(n), out, except);
  }

  /** Flows of an owner as this node's store has them: `n@generation`. */
  kept(owner: Node): string[] {
    const { tickets } = this.directory;
    const tenure = owner === this ? tickets.own : tickets.tenureOf(this.indexOf(owner));
    if (tenure === undefined || tenure.state !== 'live') return [];
    const key = new Uint32Array(KEY_WORDS);
    const list: string[] = [];
    for (let chain = 0; chain < tenure.chains; chain++) {
      for (let t = tickets.firstInChain(tenure, chain); t !== NONE; t = tickets.nextInChain(t)) {
        tickets.readKey(t, key);
        list.push(`${flowNumber(key)}@${tickets.generationOf(t)}`);
      }
    }
    return list.sort();
  }
}

class Peers implements PeerTable {
  readonly self: PeerIndex;
  readonly #members = new Map<PeerIndex, Member>();

  constructor(self: PeerIndex) {
    this.self = self;
  }

  set(peer: PeerIndex, member: Member): void {
    this.#members.set(peer, member);
  }
  delete(peer: PeerIndex): void {
    this.#members.delete(peer);
  }
  get(peer: PeerIndex): Member | undefined {
    return this.#members.get(peer);
  }
  indexOf(id: string): PeerIndex | undefined {
    for (const [peer, member] of this.#members) if (member.id === id) return peer;
    return undefined;
  }
  indices(): readonly PeerIndex[] {
    return [...this.#members.keys()].sort((a, b) => a - b);
  }
  rttMs(): number | undefined {
    return undefined;
  }
}

export class World {
  nowMs = 1_000;
  readonly nodes: Node[] = [];
  readonly weather: Weather;
  readonly buckets: number;
  readonly sent = { datagrams: 0, bytes: 0, lost: 0 };
  /** Datagrams between these two are lost; names joined by `>`. */
  readonly cut = new Set<string>();
  /** What a node's kernel says about a flow without a ticket. */
  ownsFlow: (node: Node, key: Uint32Array) => boolean = () => false;
  /** Loses what it says true to, besides the weather. */
  lose: (from: Node, to: Node, channel: number, body: Uint8Array) => boolean = () => false;
  /** Added to the time that stream messages take, as when a connection must be made first. */
  streamDelayMs = 0;
  /** `stream` is refused while set. */
  streamsRefused = false;
  readonly #options: WorldOptions;
  readonly #random: Random;
  readonly #parcels: Parcel[] = [];
  readonly #streamAtMs = new Map<string, number>();
  #order = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.weather = { loss: 0, double: 0, delayMs: 10, jitterMs: 0, ...options.weather };
    this.buckets = options.directory?.homes?.buckets ?? 256;
    for (let i = 0; i < options.nodes; i++) this.nodes.push(new Node(this, i, options.nodes));
    for (const node of this.nodes) this.#boot(node);
  }

  bucketOf(n: number): number {
    return (Math.imul(n, 0x9e3779b1) >>> 16) % this.buckets;
  }

  /** A process starts, with nothing in its memory. Everybody it knows is alive. */
  #boot(node: Node, extra: Partial<DirectoryOptions> = {}): void {
    node.life++;
    node.up = true;
    node.peers.set(node.peers.self, this.#member(node, 'alive'));
    for (const other of this.nodes) {
      if (other !== node && other.up) {
        node.peers.set(this.#indexFor(node, other), this.#member(other, 'alive'));
      }
    }
    node.directory = new Directory(this.nowMs, {
      capacity: 100_000,
      ...this.#options.directory,
      ...extra,
      homes: { buckets: this.buckets, ...this.#options.directory?.homes },
      peers: node.peers,
      random: this.#random.fork(),
      ownsFlow: (key) => this.ownsFlow(node, key),
    });
    node.sessions = new Sessions({
      ...this.#options.sessions,
      peers: node.peers,
      homes: node.directory.homes,
    });
    for (const peer of node.peers.indices()) {
      if (peer === node.peers.self) continue;
      node.handle({ type: 'member', change: 'joined', peer, member: node.peers.get(peer)! });
    }
  }

  #indexFor(node: Node, other: Node): PeerIndex {
    return (node.peers.self + 1 + ((other.number - node.number + 100) % 100)) % 101;
  }

  #member(node: Node, status: MemberStatus): Member {
    const { id, boot, run, number } = node;
    const protocolMax = this.#options.protocols?.[number] ?? PROTOCOL_MAX;
    const address = `192.0.2.${number}:7946`;
    return memberNamed(id, { boot, run, status, address, protocolMax });
  }

  /** Everybody (or only `seers`) hears of a change. */
  tell(subject: Node, change: MemberChange, seers: readonly Node[] = this.nodes): void {
    const status: MemberStatus =
      change === 'suspect' || change === 'dead' || change === 'left' ? change : 'alive';
    for (const seer of seers) {
      if (seer === subject || !seer.up) continue;
      const peer = seer.peers.indexOf(subject.id) ?? this.#indexFor(seer, subject);
      const known = seer.peers.get(peer) !== undefined;
      const member = this.#member(subject, change === 'forgotten' ? 'dead' : status);
      if (change === 'forgotten') seer.peers.delete(peer);
      else seer.peers.set(peer, member);
      seer.handle({ type: 'member', change: known ? change : 'joined', peer, member });
    }
  }

  /** The process is gone; nobody was told yet. */
  kill(node: Node): void {
    node.up = false;
    node.life++;
  }

  /**
   * The process is back. With `reboot` its kernel's sockets are gone as well; without, it publishes
   * them again: at once, or when the test calls {@link restore}.
   */
  restart(node: Node, reboot: boolean, restoreNow = true): void {
    node.run++;
    if (reboot) {
      node.boot++;
      node.flows.clear();
    }
    this.#boot(node, reboot ? {} : { restoring: true });
    this.tell(node, reboot ? 'boot' : 'run');
    if (!reboot && restoreNow) this.restore(node);
  }

  /** A restarted process has read the kernel's flows. */
  restore(node: Node): void {
    for (const flow of node.flows.values()) node.publish(flow);
    node.directory.restored();
  }

  outbox(from: Node): Outbox {
    return {
      send: (to, channel, body) => {
        const target = this.#target(from, to);
        if (target === undefined || body.length > FRAME_BYTES_MAX) return false;
        this.sent.datagrams++;
        this.sent.bytes += body.length;
        this.#fly(from, target, channel, body.slice());
        if (this.#random.chance(this.weather.double)) {
          this.#fly(from, target, channel, body.slice());
        }
        return true;
      },
      stream: (to, channel, body) => {
        const target = this.#target(from, to);
        if (target === undefined || body.length > STREAM_BYTES_MAX) return false;
        if (this.streamsRefused) return false;
        const pair = `${from.id}>${target.id}`;
        const earliest = this.#streamAtMs.get(pair) ?? 0;
        const atMs = Math.max(earliest, this.nowMs + this.weather.delayMs * 2 + this.streamDelayMs);
        this.#streamAtMs.set(pair, atMs);
        const copy = body.slice();
        this.#deliver(atMs, from, target, (peer) => ({
          type: 'stream',
          from: peer,
          channel,
          body: copy,
        }));
        return true;
      },
      broadcast: () => {},
      notify: (notice: MeshNotice) => {
        from.notices.push(notice);
        if (notice.type === 'flowFound') from.found.push(notice as FlowFound);
      },
    };
  }

  #target(from: Node, to: PeerIndex): Node | undefined {
    const member = from.peers.get(to);
    if (member === undefined || member.status === 'dead' || member.status === 'left') {
      return undefined;
    }
    return this.nodes.find(({ id }) => id === member.id && id !== from.id);
  }

  #fly(from: Node, to: Node, channel: number, body: Uint8Array): void {
    const { loss, delayMs, jitterMs } = this.weather;
    const cut = this.cut.has(`${from.id}>${to.id}`) || this.lose(from, to, channel, body);
    if (cut || this.#random.chance(loss)) {
      this.sent.lost++;
      return;
    }
    const atMs = this.nowMs + delayMs + this.#random.between(0, jitterMs);
    this.#deliver(atMs, from, to, (peer) => ({ type: 'frame', from: peer, channel, body }));
  }

  #deliver(atMs: number, from: Node, to: Node, event: (peer: PeerIndex) => MeshEvent): void {
    const peer = to.peers.indexOf(from.id);
    if (peer === undefined) return;
    const lives = { to, life: to.life, from, fromLife: from.life };
    const parcel = { atMs, order: this.#order++, ...lives, event: event(peer) };
    let low = 0;
    let high = this.#parcels.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#parcels[middle]!.atMs <= atMs) low = middle + 1;
      else high = middle;
    }
    this.#parcels.splice(low, 0, parcel);
  }

  /** Lets time pass, event by event. */
  run(forMs: number): void {
    const untilMs = this.nowMs + forMs;
    for (let spins = 0; ; ) {
      let node: Node | undefined;
      let atMs = Number.POSITIVE_INFINITY;
      for (const candidate of this.nodes) {
        if (!candidate.up) continue;
        const wakeMs = candidate.nextWakeupMs();
        if (wakeMs !== undefined && Math.max(wakeMs, this.nowMs) < atMs) {
          atMs = Math.max(wakeMs, this.nowMs);
          node = candidate;
        }
      }
      const parcel = this.#parcels[0];
      if (parcel !== undefined && parcel.atMs <= atMs) {
        if (parcel.atMs > untilMs) break;
        this.#parcels.shift();
        this.nowMs = Math.max(this.nowMs, parcel.atMs);
        this.#arrive(parcel);
        continue;
      }
      if (node === undefined || atMs > untilMs) break;
      spins = atMs > this.nowMs ? 0 : spins + 1;
      assert.ok(spins < 10_000, `${node.id} asks for wake-ups without end at ${this.nowMs}`);
      this.nowMs = atMs;
      node.handle({ type: 'tick' });
    }
    this.nowMs = untilMs;
  }

  #arrive({ to, life, from, fromLife, event }: Parcel): void {
    if (!to.up || to.life !== life) return;
    // The mesh drops what an older life of a node has sent once it knows of the newer one.
    const run = to.peers.get(to.peers.indexOf(from.id) ?? -1)?.run;
    if (from.life !== fromLife && run === from.run) return;
    to.handle(event);
    // A body is valid only during the call: whoever kept it shall notice.
    if ('body' in event) event.body.fill(0xaa);
  }

  /** Every node has exactly the tickets it is a home of, and its own. Names the first that does not. */
  fault(): string | undefined {
    for (const home of this.nodes) {
      if (!home.up) continue;
      for (const owner of this.nodes) {
        if (!owner.up) continue;
        const expected: string[] = [];
        for (const { n, generation } of owner.flows.values()) {
          const isHome = home.directory.homes.isHome(home.peers.self, this.bucketOf(n));
          if (isHome || home === owner) expected.push(`${n}@${generation}`);
        }
        expected.sort();
        const kept = home.kept(owner);
        if (kept.join() === expected.join()) continue;
        const lacks = missing(expected, kept);
        const extra = missing(kept, expected);
        return `${home.id} lacks ${lacks} of ${expected.length} flows of ${owner.id} and has ${extra} too many`;
      }
    }
    return undefined;
  }

  /** Lets time pass until {@link fault} finds nothing. @returns how long; `undefined` if never. */
  settle(mostMs: number, stepMs = 20): number | undefined {
    for (let passedMs = 0; passedMs <= mostMs; passedMs += stepMs) {
      if (this.fault() === undefined) return passedMs;
      this.run(stepMs);
    }
    return undefined;
  }
}

function missing(wanted: readonly string[], there: readonly string[]): number {
  const set = new Set(there);
  return wanted.filter((name) => !set.has(name)).length;
}

/** A world past its first tables and the time in which the previous ones are asked. */
export function settled(options: WorldOptions): World {
  const world = new World(options);
  world.run(15_000);
  return world;
}

/** Opens and closes flows at random; ports are used again often. */
export function churn(world: World, seed: number, forMs: number, perSecond: number): void {
  const random = new Random(seed);
  for (let passedMs = 0; passedMs < forMs; passedMs += 5) {
    for (let i = 0; i < (perSecond * 5) / 1_000; i++) {
      const node = world.nodes[random.below(world.nodes.length)]!;
      if (!node.up) continue;
      const n = node.number * 1_000 + random.below(300);
      if (node.flows.has(n) && random.chance(0.8)) node.close(n);
      else node.accept(n);
    }
    world.run(5);
  }
}
