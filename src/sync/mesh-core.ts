import type { Claim } from '../proto/claim.ts';
import { FIELD_RUMOUR, PacketReader, type PacketWriter } from '../proto/packet.ts';
import { decodeRumour, encodeRumour, RUMOUR_KEY_LENGTH_MAX } from '../proto/rumour.ts';
import type { CipherSuite, Identity } from './cipher-suite.ts';
import {
  CHANNELS_MAX,
  CHANNELS_MIN,
  type Channel,
  FRAME_BYTES_MAX,
  type MemberChange,
  type MemberFacts,
  type MeshComponent,
  type MeshEvent,
  type MeshNotice,
  type Outbox,
  type PeerIndex,
  type PeerTable,
  RUMOUR_BYTES_MAX,
  STREAM_BYTES_MAX,
} from './core.ts';
import type { HandshakeParty } from './handshake.ts';
import { type Keyring, labelHash } from './keyring.ts';
import type { Session } from './link.ts';
import { type LinkOutbox, Links } from './links.ts';
import { type Entry, isLive, memberClaim } from './member-table.ts';
import { Membership } from './membership.ts';
import type { MembershipOutbox } from './membership-outbox.ts';
import { OpenPackets } from './open-packets.ts';
import type { Random } from './random.ts';
import type { MembershipSettings } from './settings.ts';

/** What the core needs from the world: the shell's sockets, or the simulator. */
export interface MeshWorld {
  /** `bytes` is the receiver's to keep. */
  datagram(address: string, bytes: Uint8Array): void;
  /**
   * A message for the stream to the node `id` at `address`. Copies `body`.
   * @returns false when too much waits already.
   */
  stream(address: string, id: string, channel: Channel, body: Uint8Array): boolean;
  notify(notice: MeshNotice): void;
}

export interface MeshCoreOptions {
  readonly facts: MemberFacts;
  /** Addresses to join by. */
  readonly seeds: readonly string[];
  /** Same on every node of a cluster; nodes of other labels are not even tried. */
  readonly label: string;
  readonly settings: MembershipSettings;
  readonly suite: CipherSuite;
  readonly keyring: Keyring;
  /** This node's signing key, when nodes must prove their names. */
  readonly identity?: Identity | undefined;
  /** The public identity that each name must prove. Absent: the cluster key is proof enough. */
  readonly identities?: ReadonlyMap<string, Uint8Array> | undefined;
  readonly random: Random;
  readonly nowMs: number;
  readonly world: MeshWorld;
  /** Makes the other components; they are called in this order. */
  readonly components?: (peers: PeerTable, random: Random) => readonly MeshComponent[];
}

export interface CoreCounters {
  packetsMalformed: number;
  /** Frames of a life of their sender that is over, or not known yet. */
  framesOtherLife: number;
  framesUnknownChannel: number;
  packetsUnknownNode: number;
}

const NO_KEY = new Uint8Array(0);
const TICK: MeshEvent = { type: 'tick' };

/** The whole mesh of one node, without sockets and clocks. */
export class MeshCore implements HandshakeParty, LinkOutbox, MembershipOutbox {
  readonly membership: Membership;
  readonly links: Links;
  readonly keyring: Keyring;
  readonly suite: CipherSuite;
  readonly labelHash: number;
  readonly identity: Identity | undefined;
  readonly counters: CoreCounters = {
    packetsMalformed: 0,
    framesOtherLife: 0,
    framesUnknownChannel: 0,
    packetsUnknownNode: 0,
  };
  readonly components: readonly MeshComponent[];
  readonly #settings: MembershipSettings;
  readonly #identities: ReadonlyMap<string, Uint8Array> | undefined;
  readonly #world: MeshWorld;
  readonly #byChannel: (MeshComponent | undefined)[] = [];
  readonly #open = new OpenPackets();
  /** The packet that is being read. */
  readonly #received = new PacketReader();
  #keyringGeneration: number;
  #nowMs: number;
  #wakeupMs: number;
  #quietUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: MeshCoreOptions) {
    const { settings, random, nowMs, suite, keyring } = options;
    this.#settings = settings;
    this.#world = options.world;
    this.#identities = options.identities;
    this.suite = suite;
    this.keyring = keyring;
    this.labelHash = labelHash(suite, options.label);
    this.identity = options.identity;
    this.#keyringGeneration = keyring.generation;
    this.#nowMs = nowMs;
    this.#wakeupMs = nowMs;
    this.membership = new Membership(options.facts, options.seeds, settings, random.fork(), nowMs);
    this.links = new Links(this, keyring);
    this.components = options.components?.(this.membership.table, random.fork()) ?? [];
    for (const component of this.components) {
      for (const channel of component.channels) this.#byChannel[channel] = component;
    }
  }

  get peers(): PeerTable {
    return this.membership.table;
  }

  // Called by the shell.

  receive(nowMs: number, bytes: Uint8Array, from: string): void {
    this.#begin(nowMs);
    this.links.receive(nowMs, bytes, from, this);
    this.#settle();
  }

  /** A stream with a node came up; the key exchange on it proved `remote`. */
  streamUp(nowMs: number, remote: Claim, called: boolean): void {
    this.#begin(nowMs);
    this.linked(remote, called);
    this.#settle();
  }

  /** One message of a stream whose other side is that life of that node. */
  streamMessage(nowMs: number, id: string, run: number, channel: Channel, body: Uint8Array): void {
    this.#begin(nowMs);
    const entry = this.membership.table.entryOf(id);
    if (entry === undefined) this.counters.packetsUnknownNode += 1;
    else if (channel < CHANNELS_MIN) {
      this.membership.receiveStream(nowMs, entry.peer, channel, body, this);
    } else this.#deliver(entry, run, 'stream', channel, body);
    this.#settle();
  }

  streamDown(nowMs: number, id: string): void {
    this.#begin(nowMs);
    const to = this.membership.table.indexOf(id);
    if (to !== undefined) this.#toAll({ type: 'streamDown', to });
    this.#settle();
  }

  tick(nowMs: number): void {
    this.#begin(nowMs);
    if (nowMs >= this.#quietUntilMs) {
      this.links.tick(nowMs, this);
      this.membership.tick(nowMs, this);
      this.#toAll(TICK);
    }
    this.#settle();
  }

  /** Runs a local call of a component: everything it puts into the outbox is sent. */
  act<T>(nowMs: number, call: (nowMs: number, out: Outbox) => T): T {
    this.#begin(nowMs);
    const result = call(nowMs, this);
    this.#settle();
    return result;
  }

  /** Replaces what this node says about itself. */
  declare(nowMs: number, facts: Partial<MemberFacts>): void {
    this.#begin(nowMs);
    this.membership.declare(nowMs, facts, this);
    this.#settle();
  }

  /** Says good-bye; keep the core running for `leaveMs` or so. */
  leave(nowMs: number): void {
    this.#begin(nowMs);
    this.membership.leave(nowMs);
    this.#settle();
  }

  nextWakeupMs(): number {
    return this.#wakeupMs;
  }

  // HandshakeParty

  claim(): Claim {
    const { self } = this.membership;
    return memberClaim(self.status === 'alive' ? self : { ...self, status: 'alive' });
  }

  identityOf(id: string): Uint8Array | undefined {
    return this.#identities === undefined ? undefined : (this.#identities.get(id) ?? NO_KEY);
  }

  // LinkOutbox

  datagram(address: string, bytes: Uint8Array): void {
    this.#world.datagram(address, bytes);
  }

  linked(remote: Claim, called: boolean): void {
    this.membership.linked(this.#nowMs, remote, called, this);
  }

  opened(session: Session, content: Uint8Array): void {
    const packet = this.#received;
    if (!packet.read(content)) {
      this.counters.packetsMalformed += 1;
      return;
    }
    const { table } = this.membership;
    const entry = table.entryOf(session.remote.id);
    if (entry === undefined) {
      this.counters.packetsUnknownNode += 1;
      return;
    }
    const { peer } = entry;
    const { run } = session.remote;
    const { count, fields } = packet;
    if (!session.outlived) this.membership.heard(this.#nowMs, entry, run);
    for (let place = 0; place < count; place += 1) {
      const field = fields[place]!;
      if (field < CHANNELS_MIN && field !== FIELD_RUMOUR) {
        this.membership.receive(this.#nowMs, peer, packet, place, this);
      }
    }
    for (let place = 0; place < count; place += 1) {
      // What membership just learned may have ended that node's place in the table.
      if (table.entry(peer) !== entry) return;
      const field = fields[place]!;
      if (field >= CHANNELS_MIN) this.#deliver(entry, run, 'frame', field, packet.body(place));
      else if (field === FIELD_RUMOUR) this.#rumour(entry, run, packet.body(place));
    }
  }

  // Outbox

  send(to: PeerIndex, channel: Channel, body: Uint8Array): boolean {
    if (body.length > FRAME_BYTES_MAX || !isChannel(channel)) return false;
    const member = this.membership.table.get(to);
    if (member === undefined || !isLive(member)) return false;
    return this.post(to, channel, body);
  }

  stream(to: PeerIndex, channel: Channel, body: Uint8Array): boolean {
    if (!isChannel(channel)) return false;
    const member = this.membership.table.get(to);
    if (member === undefined || !isLive(member)) return false;
    return this.postStream(to, channel, body);
  }

  broadcast(channel: Channel, key: string, body: Uint8Array): void {
    if (body.length > RUMOUR_BYTES_MAX || key.length > RUMOUR_KEY_LENGTH_MAX) {
      throw new RangeError(`A rumour may have ${RUMOUR_BYTES_MAX} bytes, this has ${body.length}.`);
    }
    const rumour = encodeRumour({ channel, key, body });
    this.membership.rumour(this.#nowMs, `${channel}/${key}`, FIELD_RUMOUR, rumour);
  }

  notify(notice: MeshNotice): void {
    this.#world.notify(notice);
  }

  // MembershipOutbox

  post(to: PeerIndex, field: number, body: Uint8Array): boolean {
    if (to === this.membership.table.self || this.membership.table.get(to) === undefined) {
      return false;
    }
    const packet = this.#open.open(to);
    if (packet.append(field, body)) return true;
    const sent = this.#sendPacket(to, packet);
    packet.clear();
    return packet.append(field, body) && sent;
  }

  nudge(to: PeerIndex): void {
    this.#open.open(to);
  }

  postStream(to: PeerIndex, field: number, body: Uint8Array): boolean {
    const member = this.membership.table.get(to);
    if (member === undefined || to === this.membership.table.self) return false;
    if (body.length > STREAM_BYTES_MAX) return false;
    return this.#world.stream(member.address, member.id, field, body);
  }

  contact(address: string): void {
    this.links.contact(this.#nowMs, address, this);
  }

  doubt(to: PeerIndex): void {
    const member = this.membership.table.get(to);
    if (member !== undefined) this.links.contact(this.#nowMs, member.address, this);
  }

  ready(to: PeerIndex): boolean {
    const member = this.membership.table.get(to);
    return member !== undefined && this.links.ready(member.address, member.id);
  }

  changed(change: MemberChange, entry: Entry): void {
    const { member, peer } = entry;
    const isOther = change === 'run' || change === 'boot';
    if (isOther) this.links.forgetOtherLives(member.address, member.id, member.run);
    // What was put together a moment ago was for the life before.
    if (isOther || change === 'forgotten') this.#open.clear(peer);
    this.#toAll({ type: 'member', change, peer, member });
  }

  // Inside

  #begin(nowMs: number): void {
    // Time never goes back here, whatever the caller's clock does.
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    const lateMs = nowMs - this.#wakeupMs;
    if (lateMs <= this.#settings.stallMs) return;
    this.membership.stalled(lateMs);
    if (!this.#settings.stallGuard) return;
    this.#toAll({ type: 'stalled', lateMs });
    // Nothing is judged before the socket had a chance to deliver what waited in it.
    this.#quietUntilMs = nowMs + this.#settings.stallGraceMs;
    this.#wakeupMs = this.#quietUntilMs;
  }

  /** Sends what was put together and works out when to wake up. */
  #settle(): void {
    if (this.#open.count > 0) this.#sendOpen();
    if (this.#keyringGeneration !== this.keyring.generation) {
      this.#keyringGeneration = this.keyring.generation;
      this.links.dropRetired();
    }
    let wakeupMs = Math.min(this.membership.nextWakeupMs(), this.links.nextWakeupMs());
    for (const component of this.components) {
      const componentMs = component.nextWakeupMs();
      if (componentMs !== undefined && componentMs < wakeupMs) wakeupMs = componentMs;
    }
    // A component that asks for the past is called at once, but not counted as a stall.
    this.#wakeupMs = Math.max(wakeupMs, this.#quietUntilMs, this.#nowMs);
  }

  #sendOpen(): void {
    const open = this.#open;
    for (let place = 0; place < open.count; place += 1) {
      const packet = open.packet(place);
      if (this.membership.table.get(open.receiver(place)) === undefined) continue;
      this.membership.fill(packet);
      if (packet.contentBytes > 0) this.#sendPacket(open.receiver(place), packet);
    }
    open.end();
  }

  #sendPacket(to: PeerIndex, packet: PacketWriter): boolean {
    const member = this.membership.table.get(to);
    if (member === undefined) return false;
    return this.links.send(this.#nowMs, member, packet, this);
  }

  #deliver(
    entry: Entry,
    run: number,
    type: 'frame' | 'stream',
    channel: Channel,
    body: Uint8Array,
  ): void {
    if (entry.member.run !== run || !isLive(entry.member)) {
      this.counters.framesOtherLife += 1;
      return;
    }
    const component = this.#byChannel[channel];
    if (component === undefined) this.counters.framesUnknownChannel += 1;
    else component.handle(this.#nowMs, { type, from: entry.peer, channel, body }, this);
  }

  #rumour(entry: Entry, run: number, bytes: Uint8Array): void {
    if (entry.member.run !== run) return;
    const rumour = decodeRumour(bytes);
    if (rumour === undefined) {
      this.counters.packetsMalformed += 1;
      return;
    }
    const component = this.#byChannel[rumour.channel];
    if (component === undefined) this.counters.framesUnknownChannel += 1;
    else {
      const { channel, body } = rumour;
      component.handle(this.#nowMs, { type: 'rumour', from: entry.peer, channel, body }, this);
    }
  }

  #toAll(event: MeshEvent): void {
    for (const component of this.components) component.handle(this.#nowMs, event, this);
  }
}

function isChannel(channel: number): boolean {
  return Number.isInteger(channel) && channel >= CHANNELS_MIN && channel <= CHANNELS_MAX;
}
