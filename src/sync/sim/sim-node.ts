import { PROTOCOL_MAX, PROTOCOL_MIN } from '../../proto/protocol.ts';
import type { CipherSuite } from '../cipher-suite.ts';
import type { Member, MemberChange, MeshComponent, MeshNotice, PeerTable } from '../core.ts';
import { Keyring } from '../keyring.ts';
import { MeshCore } from '../mesh-core.ts';
import type { Random } from '../random.ts';
import type { MembershipSettings } from '../settings.ts';
import { NextVersion } from './next-version.ts';
import { Observer } from './observer.ts';

/** Bytes that a stalled process's socket holds before the kernel drops (Linux: 212,992). */
export const SOCKET_BYTES = 212_992;
/** What the kernel charges for each datagram besides its bytes. */
export const SOCKET_OVERHEAD_BYTES = 512;

/** Something that reached the machine `node` but not yet its process. */
export type Delivery =
  | {
      readonly type: 'datagram';
      readonly node: SimNode;
      readonly bytes: Uint8Array;
      readonly from: string;
    }
  | {
      readonly type: 'stream';
      readonly node: SimNode;
      readonly from: number;
      readonly run: number;
      readonly toRun: number;
      readonly channel: number;
      readonly body: Uint8Array;
    }
  | {
      readonly type: 'streamDown';
      readonly node: SimNode;
      readonly to: number;
      readonly run: number;
    };

/** What a simulated node reports to the world that it lives in. */
export interface SimHost {
  datagram(node: SimNode, address: string, bytes: Uint8Array): void;
  stream(node: SimNode, id: string, channel: number, body: Uint8Array): boolean;
  notice(node: SimNode, notice: MeshNotice): void;
  member(node: SimNode, change: MemberChange, member: Member): void;
  rumour(node: SimNode, key: string): void;
}

/** What a world adds to every node: the flow-ticket directory, when it is part of the run. */
export type ComponentFactory = (
  peers: PeerTable,
  random: Random,
  node: SimNode,
) => readonly MeshComponent[];

/** One machine: keeps its boot, its clock and its socket while processes come and go. */
export class SimNode {
  readonly index: number;
  readonly id: string;
  readonly address: string;
  readonly #host: SimHost;
  readonly #random: Random;
  core: MeshCore | undefined;
  observer: Observer | undefined;
  boot: number;
  run = 0;
  protocolMin = PROTOCOL_MIN;
  protocolMax = PROTOCOL_MAX;
  /** Local clock minus the world's; each machine counts from another start. */
  clockMs: number;
  stalledUntilMs = 0;
  /** Arrived while the process stood still. */
  readonly waiting: Delivery[] = [];
  waitingBytes = 0;
  socketDrops = 0;
  /** When the world will next wake it, on the world's clock. */
  wakeAtMs = Number.POSITIVE_INFINITY;

  constructor(index: number, host: SimHost, random: Random) {
    this.index = index;
    this.id = `n${String(index).padStart(3, '0')}`;
    this.address = `198.51.${100 + (index >>> 8)}.${index & 255}:7946`;
    this.#host = host;
    this.#random = random;
    this.boot = random.u32() || 1;
    this.clockMs = random.below(1_000_000);
  }

  get up(): boolean {
    return this.core !== undefined;
  }

  localMs(worldMs: number): number {
    return worldMs + this.clockMs;
  }

  start(
    worldMs: number,
    seeds: readonly string[],
    secrets: readonly Uint8Array[],
    settings: MembershipSettings,
    suite: CipherSuite,
    components: ComponentFactory | undefined,
  ): void {
    this.run = this.#random.u32() || 1;
    this.waiting.length = 0;
    this.waitingBytes = 0;
    this.stalledUntilMs = 0;
    this.observer = new Observer(
      (change, member) => this.#host.member(this, change, member),
      (key) => this.#host.rumour(this, key),
    );
    this.core = new MeshCore({
      facts: {
        id: this.id,
        pop: `pop${this.index % 5}`,
        address: this.address,
        boot: this.boot,
        run: this.run,
        configDigest: 0x1234,
        version: '0.1.0',
        protocolMin: this.protocolMin,
        protocolMax: this.protocolMax,
        draining: false,
      },
      seeds,
      label: 'sim',
      settings,
      suite,
      keyring: new Keyring(suite, 'sim', secrets),
      random: this.#random.fork(),
      nowMs: this.localMs(worldMs),
      world: {
        datagram: (address, bytes) => this.#host.datagram(this, address, bytes),
        stream: (_address, id, channel, body) => this.#host.stream(this, id, channel, body),
        notify: (notice) => this.#host.notice(this, notice),
      },
      components: (peers, random) => {
        const isNext = this.protocolMax > PROTOCOL_MAX;
        const others = components?.(peers, random, this) ?? [];
        const spoken = isNext ? others.map((other) => new NextVersion(other, peers)) : others;
        return [this.observer!, ...spoken];
      },
    });
  }

  /** The process ends without a word. */
  stop(newBoot: boolean): void {
    this.core = undefined;
    this.observer = undefined;
    this.wakeAtMs = Number.POSITIVE_INFINITY;
    this.waiting.length = 0;
    this.waitingBytes = 0;
    if (newBoot) this.boot = this.#random.u32() || 1;
  }

  /** Holds what arrives during a stall; the socket drops datagrams when it is full. */
  hold(delivery: Delivery): void {
    if (delivery.type === 'datagram') {
      const bytes = delivery.bytes.length + SOCKET_OVERHEAD_BYTES;
      if (this.waitingBytes + bytes > SOCKET_BYTES) {
        this.socketDrops += 1;
        return;
      }
      this.waitingBytes += bytes;
    }
    this.waiting.push(delivery);
  }
}
