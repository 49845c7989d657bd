/**
 * Members of the mesh as the kernel programs know them: which slot stands for whom, and whether
 * packets may go there. A core: what it decides goes to a {@link SlotWriter}.
 */
import type { NodeEntry, NodeState } from '../datapath/node-table.ts';
import {
  type Member,
  type MemberChange,
  PEERS_MAX,
  type PeerIndex,
  type PeerTable,
} from '../sync/core.ts';
import { parseSocketAddress } from '../sync/socket-address.ts';

/** The kernel's table of nodes. */
export interface SlotWriter {
  place(entry: NodeEntry): number;
  clear(slot: number): void;
  readonly slots: readonly number[];
  get(slot: number): NodeEntry | undefined;
}

export const NO_SLOT = 0xffff;

export interface SlotTimes {
  /**
   * An agent that is gone leaves a kernel that still holds its flows: as long as that answers,
   * packets go on to it, at most for this long. Default 60,000.
   */
  readonly agentlessMs: number;
  /** An answer of a kernel is good for this long. Default 1,500. */
  readonly answerMs: number;
  /**
   * A node that suddenly finds most others dead is probably cut off itself. For this long it sends
   * packets on instead of resetting flows by a guess. Default 60,000.
   */
  readonly isolationMs: number;
  /** Slots of an earlier agent that no member claims are cleared after this. Default 60,000. */
  readonly orphanMs: number;
}

const TIMES: SlotTimes = {
  agentlessMs: 60_000,
  answerMs: 1_500,
  isolationMs: 60_000,
  orphanMs: 60_000,
};

interface Known {
  readonly member: Member;
  readonly address: string;
  readonly slot: number;
  /** Since when it has this status. */
  readonly sinceMs: number;
  /** As the kernel has it. */
  state: NodeState;
}

export class NodeSlots {
  readonly #writer: SlotWriter;
  readonly #peers: PeerTable;
  readonly #times: SlotTimes;
  readonly #known = new Map<PeerIndex, Known>();
  readonly #peerOf = new Map<number, PeerIndex>();
  readonly #byAddress = new Map<string, PeerIndex>();
  /** When the kernel of a silent node last answered. */
  readonly #answeredMs = new Map<PeerIndex, number>();
  /** Silent, and known to have no datapath: nothing can be delivered, whoever is in doubt. */
  readonly #bare = new Set<PeerIndex>();
  readonly #orphans: ReadonlySet<number>;
  #orphansUntilMs: number;
  #orphansGone: boolean;
  #dueMs = Number.POSITIVE_INFINITY;
  #changes = 0;
  /** Slot of each peer, {@link NO_SLOT} for none; what the table of homes is translated by. */
  readonly slots = new Uint16Array(PEERS_MAX).fill(NO_SLOT);

  /** @param self Slot of this node. */
  constructor(
    nowMs: number,
    writer: SlotWriter,
    peers: PeerTable,
    self: number,
    times: Partial<SlotTimes> = {},
  ) {
    this.#writer = writer;
    this.#peers = peers;
    this.#times = { ...TIMES, ...times };
    this.#orphans = new Set(writer.slots.filter((slot) => slot !== self));
    this.#orphansGone = this.#orphans.size === 0;
    this.#orphansUntilMs = nowMs + this.#times.orphanMs;
    this.slots[peers.self] = self;
    this.#peerOf.set(self, peers.self);
  }

  /** Rises when {@link slots} changed. */
  get changes(): number {
    return this.#changes;
  }

  /** Slots that an earlier agent left and that are not taken by members yet. */
  get unclaimed(): number {
    let count = 0;
    for (const slot of this.#orphans) {
      if (this.#peerOf.has(slot)) continue;
      const state = this.#writer.get(slot)?.state;
      if (state === 'alive' || state === 'suspect') count++;
    }
    return count;
  }

  /** Some member is suspect, or this node is cut off: who is silent now may own a flow. */
  isDoubtful(nowMs: number): boolean {
    for (const { member } of this.#known.values()) if (member.status === 'suspect') return true;
    return this.#isolated(nowMs);
  }

  /** This node sees fewer than half of all that lately lived, itself among them. */
  isIsolated(nowMs: number): boolean {
    return this.#isolated(nowMs);
  }

  peerOf(slot: number): PeerIndex | undefined {
    return this.#peerOf.get(slot);
  }

  /** {@link NO_SLOT} for a peer that has none. */
  slotOf(peer: PeerIndex): number {
    return this.slots[peer] ?? NO_SLOT;
  }

  /** Follows a change of membership; same arguments as the mesh's `member` event. */
  observe(nowMs: number, change: MemberChange, peer: PeerIndex, member: Member): void {
    if (peer === this.#peers.self) return;
    if (change === 'forgotten') {
      this.#release(peer, true);
      return;
    }
    const before = this.#known.get(peer);
    const address = hostOf(member);
    if (address === undefined) return;
    if (before !== undefined && before.address !== address) this.#release(peer, true);
    const sinceMs = before?.member.status === member.status ? before.sinceMs : nowMs;
    const holder = this.#byAddress.get(address);
    // Two names on one address: the living one counts.
    if (holder !== undefined && holder !== peer) {
      if (!isLive(member) && isLive(this.#known.get(holder)!.member)) return;
      this.#release(holder, false);
    }
    if (isLive(member)) this.#bare.delete(peer);
    if (member.status === 'alive') this.#answeredMs.delete(peer);
    // Who says good-bye is there to say it.
    else if (change === 'left') this.#answeredMs.set(peer, nowMs);
    const state = this.#stateOf(nowMs, peer, member, sinceMs);
    const slot = this.#writer.place({ address, boot: member.boot, state });
    this.#known.set(peer, { member, address, slot, sinceMs, state });
    this.#byAddress.set(address, peer);
    if (this.slots[peer] !== slot) {
      this.slots[peer] = slot;
      this.#peerOf.set(slot, peer);
      this.#changes++;
    }
    // A death may turn this node's view of the others, and so may a return.
    if (change !== 'facts') this.#settle(nowMs);
  }

  /** The kernel of a node whose agent is silent has answered a call. */
  answered(nowMs: number, peer: PeerIndex): void {
    const known = this.#known.get(peer);
    if (known === undefined || known.member.status === 'alive') return;
    this.#answeredMs.set(peer, nowMs);
    this.#settle(nowMs);
  }

  /** The machine of a node whose agent is silent runs, without a datapath. */
  bare(nowMs: number, peer: PeerIndex): void {
    const known = this.#known.get(peer);
    if (known === undefined || isLive(known.member)) return;
    this.#bare.add(peer);
    this.#settle(nowMs);
  }

  tick(nowMs: number): void {
    if (!this.#orphansGone && nowMs >= this.#orphansUntilMs) this.#clearOrphans(nowMs);
    if (nowMs >= this.#dueMs) this.#settle(nowMs);
  }

  nextWakeupMs(): number {
    return this.#orphansGone ? this.#dueMs : Math.min(this.#dueMs, this.#orphansUntilMs);
  }

  #clearOrphans(nowMs: number): void {
    // Nobody here at all says nothing about anybody.
    if (this.#known.size === 0) {
      this.#orphansUntilMs = nowMs + this.#times.orphanMs;
      return;
    }
    this.#orphansGone = true;
    for (const slot of this.#orphans) if (!this.#peerOf.has(slot)) this.#writer.clear(slot);
  }

  /** States that depend on the time and on the others. */
  #settle(nowMs: number): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
    for (const [peer, known] of this.#known) {
      const { member, address, sinceMs } = known;
      const state = this.#stateOf(nowMs, peer, member, sinceMs);
      if (state === known.state) continue;
      known.state = state;
      this.#writer.place({ address, boot: member.boot, state });
    }
  }

  #stateOf(nowMs: number, peer: PeerIndex, member: Member, sinceMs: number): NodeState {
    if (member.status === 'alive' || member.status === 'suspect') return member.status;
    if (this.#bare.has(peer)) return 'dead';
    const { agentlessMs, answerMs, isolationMs } = this.#times;
    const answeredMs = this.#answeredMs.get(peer) ?? Number.NEGATIVE_INFINITY;
    let untilMs = Math.min(answeredMs + answerMs, sinceMs + agentlessMs);
    if (member.status === 'dead' && this.#isolated(nowMs)) {
      untilMs = Math.max(untilMs, sinceMs + isolationMs);
    }
    if (nowMs >= untilMs) return 'dead';
    this.#dueMs = Math.min(this.#dueMs, untilMs);
    return 'suspect';
  }

  /** Whether this node sees fewer than half of all that lately lived, itself among them. */
  #isolated(nowMs: number): boolean {
    let live = 1;
    let all = 1;
    for (const { member, sinceMs } of this.#known.values()) {
      if (isLive(member)) {
        live++;
        all++;
      } else if (member.status === 'dead' && nowMs < sinceMs + this.#times.isolationMs) all++;
    }
    return live * 2 < all;
  }

  #release(peer: PeerIndex, clear: boolean): void {
    const known = this.#known.get(peer);
    if (known === undefined) return;
    this.#known.delete(peer);
    this.#byAddress.delete(known.address);
    this.#answeredMs.delete(peer);
    this.#bare.delete(peer);
    this.slots[peer] = NO_SLOT;
    this.#peerOf.delete(known.slot);
    this.#changes++;
    if (clear) this.#writer.clear(known.slot);
  }
}

function isLive(member: Member): boolean {
  return member.status === 'alive' || member.status === 'suspect';
}

/** The underlay address: the mesh speaks on the same. */
function hostOf(member: Member): string | undefined {
  return parseSocketAddress(member.address)?.host;
}
