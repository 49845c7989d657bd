/**
 * Between the kernel's events and the mesh's directory: tickets born and ended here are published,
 * flows that nobody here knows are looked for, and what is found becomes a ticket of the kernel.
 * A core: the time and the outbox of each round are handed in.
 */
import type { EventReader } from '../datapath/event-ring.ts';
import { HalfOpenTickets } from '../datapath/half-open.ts';
import type { TicketSource } from '../datapath/ticket-table.ts';
import { type FlowKey, KEY_WORDS } from '../proto/ticket-key.ts';
import type { Outbox, PeerIndex } from '../sync/core.ts';
import type { FindOutcome } from '../sync/directory/finder.ts';
import type { ChangeReader } from '../sync/ticket-changes.ts';
import { HeldBirths } from './held-births.ts';
import { NO_SLOT, type NodeSlots } from './node-slots.ts';

/** What is used of the directory. */
export interface FlowDirectory {
  publish(nowMs: number, bucket: number, key: FlowKey, generation: number, out: Outbox): unknown;
  end(nowMs: number, bucket: number, key: FlowKey, generation: number, out: Outbox): unknown;
  lookupLocal(key: FlowKey): PeerIndex | undefined;
  find(
    nowMs: number,
    bucket: number,
    key: FlowKey,
    out: Outbox,
    except?: PeerIndex,
  ): FindOutcome | undefined;
}

/** What is used of the kernel's tickets. */
export interface FlowTickets {
  learn(key: FlowKey, owner: number, source?: TicketSource): void;
  forget(key: FlowKey): void;
}

export interface FlowFeedOptions {
  readonly self: PeerIndex;
  /** Told of the first packet of each flow that is relayed. The key is valid during the call only. */
  readonly switched: (key: FlowKey, owner: PeerIndex | undefined, source: TicketSource) => void;
  /** Told that `entry` should know who owns the flow. */
  readonly hint: (key: FlowKey, entry: PeerIndex, owner: PeerIndex, out: Outbox) => void;
  /** Whether some silent node may be the owner: then nobody's word is the last. */
  readonly isDoubtful: (nowMs: number) => boolean;
  /** How long a search goes on in doubt. Default 5,000. */
  readonly doubtMs?: number;
}

interface Retry {
  readonly key: FlowKey;
  readonly bucket: number;
  readonly untilMs: number;
  dueMs: number;
}

const RETRY_MS = 250;
const RETRIES_MAX = 1_024;

export interface FlowFeedCounters {
  searches: number;
  /** How searches ended. */
  foundOwner: number;
  foundDead: number;
  foundNobody: number;
  searchesRefused: number;
  /** Tickets that an owner refused. */
  ticketsRefused: number;
  /** Owners told to entries. */
  hintsGiven: number;
  /** Owners told to us by homes. */
  hintsTaken: number;
  halfOpenGivenUp: number;
  /** Flows that ended before anybody was told of them. */
  flowsUntold: number;
}

export class FlowFeed implements EventReader, ChangeReader {
  readonly counters: FlowFeedCounters = {
    searches: 0,
    foundOwner: 0,
    foundDead: 0,
    foundNobody: 0,
    searchesRefused: 0,
    ticketsRefused: 0,
    hintsGiven: 0,
    hintsTaken: 0,
    halfOpenGivenUp: 0,
    flowsUntold: 0,
  };
  readonly #directory: FlowDirectory;
  readonly #tickets: FlowTickets;
  readonly #slots: NodeSlots;
  readonly #options: FlowFeedOptions;
  readonly #halfOpen: HalfOpenTickets;
  readonly #held: HeldBirths;
  readonly #retries = new Map<string, Retry>();
  #retryAtMs = Number.POSITIVE_INFINITY;
  #nowMs = 0;
  #out: Outbox | undefined;

  constructor(
    directory: FlowDirectory,
    tickets: FlowTickets,
    slots: NodeSlots,
    options: FlowFeedOptions,
  ) {
    this.#directory = directory;
    this.#tickets = tickets;
    this.#slots = slots;
    this.#options = options;
    this.#halfOpen = new HalfOpenTickets((key, bucket, generation) => {
      this.counters.halfOpenGivenUp++;
      this.#directory.end(this.#nowMs, bucket, key, generation, this.#outbox);
    });
    this.#held = new HeldBirths((key, bucket, generation, whole) => {
      this.#directory.publish(this.#nowMs, bucket, key, generation, this.#outbox);
      if (!whole) this.#halfOpen.born(this.#nowMs, key, bucket, generation);
    });
  }

  get halfOpen(): number {
    return this.#halfOpen.size;
  }

  /** Every call of this object belongs to a round of the mesh, whose time and outbox these are. */
  begin(nowMs: number, out: Outbox): void {
    this.#nowMs = nowMs;
    this.#out = out;
  }

  /** Births wait for {@link settle}. */
  get holds(): boolean {
    return this.#held.any;
  }

  /**
   * After the events of a round: flows born in it that live are published.
   * @param patient While many come and go, those born in this round wait for the end of the next.
   */
  settle(patient: boolean): void {
    this.#held.release(!patient);
  }

  // Kernel events.

  born(key: FlowKey, bucket: number, generation: number, whole: boolean): void {
    this.#held.hold(key, bucket, generation, whole);
  }

  kept(key: FlowKey, bucket: number, generation: number): void {
    if (this.#held.complete(generation)) return;
    this.#halfOpen.settled(generation);
    // An agent that was away when it was born hears of it now. Known ones are left as they are.
    this.#directory.publish(this.#nowMs, bucket, key, generation, this.#outbox);
  }

  ended(key: FlowKey, bucket: number, generation: number): void {
    if (this.#held.cancel(generation)) this.counters.flowsUntold++;
    else this.#halfOpen.settled(generation);
    // Also when untold: the kernel's flows may have been read as a whole meanwhile.
    this.#directory.end(this.#nowMs, bucket, key, generation, this.#outbox);
  }

  search(key: FlowKey, bucket: number, except: number | undefined): void {
    this.counters.searches++;
    // Who asks around says first what he has himself.
    this.#held.release(true);
    this.#find(key, bucket, except === undefined ? -1 : (this.#slots.peerOf(except) ?? -1));
    if (!this.#options.isDoubtful(this.#nowMs) || this.#retries.size >= RETRIES_MAX) return;
    const { doubtMs = 5_000 } = this.#options;
    this.#retries.set(nameOf(key), {
      key: key.slice(),
      bucket,
      untilMs: this.#nowMs + doubtMs,
      dueMs: this.#nowMs + RETRY_MS,
    });
    this.#retryAtMs = Math.min(this.#retryAtMs, this.#nowMs + RETRY_MS);
  }

  switched(key: FlowKey, _bucket: number, owner: number, source: TicketSource): void {
    this.#options.switched(key, this.#slots.peerOf(owner), source);
  }

  found(key: FlowKey, _bucket: number, entry: number): void {
    this.#held.release(true);
    const owner = this.#directory.lookupLocal(key);
    const peer = this.#slots.peerOf(entry);
    if (owner === undefined || peer === undefined) return;
    this.counters.hintsGiven++;
    this.#options.hint(key, peer, owner, this.#outbox);
  }

  refused(): void {
    this.counters.ticketsRefused++;
  }

  // Changes of the directory.

  learned(key: FlowKey, owner: PeerIndex): void {
    const slot = this.#slots.slotOf(owner);
    if (slot !== NO_SLOT) this.#tickets.learn(key, slot, 'directory');
  }

  /**
   * The end of a ticket is not the end of all packets: the client's last acknowledgements and the
   * owner's TIME_WAIT come after it. So the kernel keeps it until it needs the room, unless this
   * node has taken the flow over. An owner that lacks the flow says so, and that removes it.
   */
  voided(key: FlowKey): void {
    if (this.#directory.lookupLocal(key) === this.#options.self) this.#tickets.forget(key);
  }

  /** A home says who owns a flow of which a packet came in here. */
  hinted(key: FlowKey, owner: PeerIndex): void {
    const slot = this.#slots.slotOf(owner);
    if (slot === NO_SLOT) return;
    this.counters.hintsTaken++;
    this.#tickets.learn(key, slot, 'home');
  }

  tick(nowMs: number): void {
    this.#halfOpen.expire(nowMs);
    if (nowMs < this.#retryAtMs) return;
    this.#retryAtMs = Number.POSITIVE_INFINITY;
    for (const [name, retry] of this.#retries) {
      if (nowMs >= retry.untilMs) {
        this.#retries.delete(name);
        continue;
      }
      if (nowMs >= retry.dueMs) {
        retry.dueMs = nowMs + RETRY_MS;
        this.#find(retry.key, retry.bucket, -1);
      }
      this.#retryAtMs = Math.min(this.#retryAtMs, retry.dueMs);
    }
  }

  nextWakeupMs(): number {
    return this.#halfOpen.size > 0
      ? Math.min(this.#retryAtMs, this.#nowMs + 1_000)
      : this.#retryAtMs;
  }

  /** The end of a search that was not answered at once. */
  searched(key: FlowKey, found: FindOutcome): void {
    this.#apply(key, found, 'search');
  }

  #find(key: FlowKey, bucket: number, except: PeerIndex): void {
    const found = this.#directory.find(this.#nowMs, bucket, key, this.#outbox, except);
    if (found !== undefined) this.#apply(key, found, 'directory');
  }

  #apply(key: FlowKey, found: FindOutcome, source: TicketSource): void {
    switch (found.outcome) {
      case 'owner':
        this.counters.foundOwner++;
        this.#learn(key, found.owner, source);
        break;
      case 'dead':
        // The kernel knows that this node is gone: the flow is reset at its next packet.
        this.counters.foundDead++;
        this.#learn(key, found.owner, source);
        break;
      case 'refused':
        this.counters.searchesRefused++;
        break;
      default:
        this.counters.foundNobody++;
    }
  }

  #learn(key: FlowKey, owner: PeerIndex, source: TicketSource): void {
    this.#retries.delete(nameOf(key));
    const slot = this.#slots.slotOf(owner);
    if (slot !== NO_SLOT) this.#tickets.learn(key, slot, source);
  }

  get #outbox(): Outbox {
    if (this.#out === undefined) throw new Error('no round was begun');
    return this.#out;
  }
}

function nameOf(key: FlowKey): string {
  let name = '';
  for (let i = 0; i < KEY_WORDS; i++) {
    name += String.fromCharCode(key[i]! & 0xffff, key[i]! >>> 16);
  }
  return name;
}
