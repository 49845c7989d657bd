/**
 * The flow-ticket directory as a part of the mesh: who owns which flow. Owners publish, homes keep,
 * entries ask. See docs/design/directory.md.
 */
import { PROTOCOL_CHECKS } from '../../proto/protocol.ts';
import type { FlowKey } from '../../proto/ticket-key.ts';
import type { Channel, MeshComponent, MeshEvent, Outbox, PeerIndex, PeerTable } from '../core.ts';
import { Homes } from '../homes.ts';
import { type DeleteResult, type PutResult, TicketStore } from '../ticket-store.ts';
import {
  CHANNEL_ACK,
  CHANNEL_ANSWER,
  CHANNEL_ASK,
  CHANNEL_CHECK,
  CHANNEL_DIGEST,
  CHANNEL_FRAME,
  CHANNEL_REPLY,
  CHANNEL_SNAPSHOT,
  DIRECTORY_CHANNELS,
} from './channels.ts';
import { Finder, type FindOutcome } from './finder.ts';
import { Keeper } from './keeper.ts';
import { Mender } from './mender.ts';
import { Publisher } from './publisher.ts';
import {
  type DirectoryOptions,
  directorySettings,
  inStreamTimes,
  outStreamLimits,
} from './settings.ts';

type MemberEvent = Extract<MeshEvent, { type: 'member' }>;

export class Directory implements MeshComponent {
  readonly channels: readonly Channel[];
  readonly counters: Readonly<Record<string, number>>;
  /** Which nodes keep which bucket. Read it, for the kernel's map; do not drive it. */
  readonly homes: Homes;
  /** Every ticket of this node. Read it; do not change it. */
  readonly tickets: TicketStore;
  readonly #peers: PeerTable;
  readonly #publisher: Publisher;
  readonly #keeper: Keeper;
  readonly #mender: Mender;
  readonly #finder: Finder;
  #malformed = 0;
  #nowMs = 0;
  #out: Outbox | undefined;

  /** @throws when `peers` does not know this node. */
  constructor(nowMs: number, options: DirectoryOptions) {
    const { peers } = options;
    const self = peers.get(peers.self);
    if (self === undefined) throw new Error('the peer table does not know this node');
    const settings = directorySettings(options);
    this.#peers = peers;
    this.channels =
      self.protocolMax < PROTOCOL_CHECKS
        ? DIRECTORY_CHANNELS.filter((channel) => channel !== CHANNEL_CHECK)
        : DIRECTORY_CHANNELS;
    this.homes = new Homes(options.homes);
    this.tickets = new TicketStore({
      capacity: settings.capacity,
      buckets: this.homes.buckets,
      self: peers.self,
      boot: self.boot,
      seed: options.random.u32(),
      ...(options.changes === undefined ? {} : { changes: options.changes }),
    });
    const { tickets, homes } = this;
    const { republishPerSecond } = settings;
    const limits = outStreamLimits(options);
    this.#publisher = new Publisher(tickets, homes, peers, limits, republishPerSecond);
    this.#mender = new Mender(tickets, homes, peers, this.#publisher, settings, options.random);
    this.#finder = new Finder(tickets, homes, settings, options);
    this.#keeper = new Keeper(
      tickets,
      homes,
      peers,
      settings,
      inStreamTimes(options),
      (key, owner) => this.#finder.learned(key, owner),
    );
    this.#nowMs = nowMs;
    homes.start(nowMs, peers.self, self);
    this.#finder.known(peers.self, self.id);
    this.counters = this.#counters();
  }

  /**
   * This node owns the flow from now on. Its homes know within `flushMs` and the way to them.
   * @param generation Rises with each flow of this boot, say milliseconds since boot, 32 bits.
   * @returns `full` when the store holds its own tickets only and cannot take one more.
   */
  publish(nowMs: number, bucket: number, key: FlowKey, generation: number, out: Outbox): PutResult {
    this.#bind(nowMs, out);
    return this.#publisher.publish(nowMs, bucket, key, generation);
  }

  /** The flow of this generation, or an older one on the same ports, is over. */
  end(nowMs: number, bucket: number, key: FlowKey, generation: number, out: Outbox): DeleteResult {
    this.#bind(nowMs, out);
    return this.#publisher.end(nowMs, bucket, key, generation);
  }

  /** After `restoring`: every flow that the kernel still holds was published. */
  restored(): void {
    this.#mender.restored();
  }

  /** The owner as far as this node knows without asking; see {@link find}. */
  lookupLocal(key: FlowKey): PeerIndex | undefined {
    const ticket = this.tickets.find(key);
    return ticket < 0 ? undefined : this.tickets.tenureOfTicket(ticket).peer;
  }

  /**
   * Who owns a flow that nothing here knows? Asks its homes, then all nodes.
   * @param except A node that already said it is not the owner; -1 for none.
   * @returns `undefined` when the outcome follows as a {@link FlowFound} notice, within `graceMs`.
   */
  find(
    nowMs: number,
    bucket: number,
    key: FlowKey,
    out: Outbox,
    except: PeerIndex = -1,
  ): FindOutcome | undefined {
    this.#bind(nowMs, out);
    return this.#finder.find(nowMs, bucket, key, except);
  }

  handle(nowMs: number, event: MeshEvent, out: Outbox): void {
    this.#bind(nowMs, out);
    switch (event.type) {
      case 'tick':
        this.#tick(nowMs);
        break;
      case 'stalled':
        this.homes.postpone(event.lateMs);
        this.#publisher.postpone(event.lateMs);
        this.#keeper.postpone(event.lateMs);
        this.#finder.postpone(event.lateMs);
        break;
      case 'frame':
        this.#frame(nowMs, event.from, event.channel, event.body);
        break;
      case 'stream':
        if (event.channel === CHANNEL_SNAPSHOT) {
          this.#keeper.snapshot(nowMs, event.from, event.body);
        }
        break;
      case 'streamDown':
        // Snapshots may be lost: let digests tell.
        this.#mender.check(nowMs, event.to);
        break;
      case 'member':
        this.#member(nowMs, event);
        break;
      case 'rumour':
        break;
    }
  }

  nextWakeupMs(): number | undefined {
    const next = Math.min(
      this.homes.nextWakeupMs() ?? Number.POSITIVE_INFINITY,
      this.#publisher.nextWakeupMs(),
      this.#keeper.nextWakeupMs(this.#nowMs),
      this.#mender.nextWakeupMs(),
      this.#finder.nextWakeupMs(),
    );
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  #bind(nowMs: number, out: Outbox): void {
    this.#nowMs = nowMs;
    if (this.#out === out) return;
    this.#out = out;
    this.#publisher.bind(out);
    this.#keeper.bind(out);
    this.#mender.bind(out);
    this.#finder.bind(out);
  }

  #tick(nowMs: number): void {
    const before = this.homes.tick(nowMs);
    if (before !== undefined) {
      this.#publisher.tableChanged(nowMs, before);
      this.#keeper.tableChanged(nowMs);
    }
    this.#publisher.service(nowMs);
    this.#keeper.service(nowMs);
    this.#mender.service(nowMs);
    this.#finder.service(nowMs);
  }

  #frame(nowMs: number, from: PeerIndex, channel: number, body: Uint8Array): void {
    switch (channel) {
      case CHANNEL_FRAME:
        this.#keeper.frame(nowMs, from, body);
        break;
      case CHANNEL_ACK:
        if (!this.#publisher.acknowledged(nowMs, from, body)) this.#malformed++;
        break;
      case CHANNEL_DIGEST:
        this.#keeper.digest(nowMs, from, body);
        break;
      case CHANNEL_REPLY:
        if (!this.#mender.replied(nowMs, from, body)) this.#malformed++;
        break;
      case CHANNEL_CHECK:
        this.#mender.check(nowMs, from);
        break;
      case CHANNEL_ASK:
        this.#finder.questions(from, body);
        break;
      case CHANNEL_ANSWER:
        this.#finder.answers(nowMs, from, body);
        break;
    }
  }

  #member(nowMs: number, { change, peer, member }: MemberEvent): void {
    if (peer === this.#peers.self) return;
    this.homes.observe(nowMs, change, peer, member);
    switch (change) {
      case 'joined':
        this.#finder.known(peer, member.id);
        if (member.status === 'alive' || member.status === 'suspect') this.#open(nowMs, peer);
        break;
      case 'boot':
      case 'run':
        // Not blank for certain: what waited for the key exchange may reach the new life.
        this.#publisher.setBlank(peer, false);
        this.#keeper.restarted(peer);
        this.#keeper.alive(peer, member.boot);
        this.#open(nowMs, peer);
        break;
      case 'alive':
        this.#keeper.alive(peer, member.boot);
        // From suspect the stream went on; from dead it starts anew.
        if (this.#publisher.streamTo(peer) === undefined) {
          this.#open(nowMs, peer);
          this.#keeper.requestCheck(nowMs, peer);
        }
        break;
      case 'dead':
      case 'left':
        this.#keeper.dead(nowMs, peer);
        this.#close(peer);
        break;
      case 'forgotten':
        this.#finder.forget(peer, member.id);
        this.#keeper.forget(peer);
        this.#publisher.setBlank(peer, false);
        this.#close(peer);
        break;
      case 'suspect':
      case 'facts':
        break;
    }
  }

  #open(nowMs: number, peer: PeerIndex): void {
    this.#publisher.open(peer);
    this.#mender.open(nowMs, peer);
  }

  #close(peer: PeerIndex): void {
    this.#publisher.close(peer);
    this.#mender.close(peer);
  }

  #counters(): Readonly<Record<string, number>> {
    const publisher = this.#publisher;
    const keeper = this.#keeper;
    const mender = this.#mender;
    const { repairer } = mender;
    const finder = this.#finder;
    const { tickets, homes } = this;
    const malformed = (): number => this.#malformed + keeper.malformed + finder.malformed;
    return {
      get ticketsOwned() {
        return tickets.own.count;
      },
      get ticketsKept() {
        return tickets.size - tickets.own.count;
      },
      get ticketsEvicted() {
        return tickets.evictions;
      },
      get ticketsRefused() {
        return keeper.refused;
      },
      get ticketsStrayed() {
        return keeper.strays;
      },
      get recordsApplied() {
        return keeper.records;
      },
      get framesSent() {
        return publisher.frames;
      },
      get frameBytesSent() {
        return publisher.frameBytes;
      },
      get framesResent() {
        return publisher.resent;
      },
      get recordsOverflowed() {
        return publisher.overflowed;
      },
      get recordsRepublished() {
        return publisher.republished;
      },
      get windowBytes() {
        return publisher.windowBytes;
      },
      get digestsSent() {
        return mender.digestsSent;
      },
      get snapshotsSent() {
        return repairer.snapshotsSent;
      },
      get snapshotBytesSent() {
        return repairer.snapshotBytes;
      },
      get ticketsRepaired() {
        return repairer.repaired;
      },
      get findsPending() {
        return finder.pending;
      },
      get findsSearched() {
        return finder.searched;
      },
      get findsRefused() {
        return finder.refused;
      },
      get questionsSent() {
        return finder.asked;
      },
      get questionsAnswered() {
        return finder.answered;
      },
      get homesVersion() {
        return homes.version;
      },
      get bodiesMalformed() {
        return malformed();
      },
    };
  }
}
