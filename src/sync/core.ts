/**
 * The contract between the parts of the mesh.
 *
 * A part (membership, directory, key store …) is a {@link MeshComponent}: bytes and member changes
 * come in as events together with the time, everything it wants done goes to the {@link Outbox}. It
 * owns no timer, reads no clock, imports no `node:` IO module and draws randomness only from the
 * generator it was given. So the same code runs behind sockets and, thousands of times faster,
 * in the simulator. See docs/design/mesh.md.
 */

/** A node's configured name, unique in the mesh, 1 to 64 characters of `[A-Za-z0-9._-]`. */
export type NodeId = string;

/**
 * A small dense number standing for a node, valid only inside this process. It is given out when a
 * node is first heard of and stays the node's until a `forgotten` change was delivered; only then
 * may it be given to another node. Always below {@link PEERS_MAX}, so arrays can be indexed by it.
 */
export type PeerIndex = number;

/** Most nodes, dead ones included, that a node remembers. */
export const PEERS_MAX = 1_024;

/** Largest datagram on the wire, IP and UDP headers not counted. */
export const DATAGRAM_BYTES_MAX = 1_200;

/** Largest body of one {@link Outbox.send}: fits a datagram alone with every overhead. */
export const FRAME_BYTES_MAX = 1_120;

/** Largest body of one {@link Outbox.broadcast}. Rumours ride along with other messages. */
export const RUMOUR_BYTES_MAX = 400;

/** Largest body of one {@link Outbox.stream}; cut bigger transfers into several. */
export const STREAM_BYTES_MAX = 262_144;

/** Most bytes waiting for one peer's stream; beyond it {@link Outbox.stream} answers false. */
export const STREAM_QUEUE_BYTES_MAX = 4_194_304;

/**
 * Message types of frames, rumours and streams that the mesh carries without reading them. Each is
 * a protobuf field number inside the encrypted packet: a node that does not know one skips it.
 * Never give a number a second meaning.
 * 16 to 31: flow-ticket directory, search and sessions. 32 to 39: keys. 40 to 43: the agent (hints,
 * traces, announcements). Below 16: membership.
 */
export const CHANNELS_MIN = 16;
export const CHANNELS_MAX = 63;
export type Channel = number;

/**
 * `suspect`: route around it now, keep what it owns. `dead`: void what it owns. `left`: it said
 * good-bye and is treated like dead at once.
 */
export type MemberStatus = 'alive' | 'suspect' | 'dead' | 'left';

/** What a node says about itself. Written only by the node; never changed by others. */
export interface MemberFacts {
  readonly id: NodeId;
  readonly pop: string;
  /** UDP and TCP address of its mesh socket, `192.0.2.1:7946` or `[2001:db8::1]:7946`. */
  readonly address: string;
  /**
   * One life of the node's kernel sockets, u32, not 0. Compare only for equality. A new boot voids
   * every older flow ticket of that node.
   */
  readonly boot: number;
  /**
   * One life of the node's process, u32, not 0. A new run under the same boot has lost its memory
   * (streams and stores start empty), but its kernel's sockets, so its tickets, live on.
   */
  readonly run: number;
  /** First 32 bits of the hash of its mesh-wide configuration; differs when a node drifted. */
  readonly configDigest: number;
  /** Version of holdfast, for people. */
  readonly version: string;
  readonly protocolMin: number;
  readonly protocolMax: number;
  /** Draining: finishes its sessions, wants no new ones. */
  readonly draining: boolean;
}

/** A node as this node sees it. A snapshot: replaced, never changed. */
export interface Member extends MemberFacts {
  readonly status: MemberStatus;
  /** Raised only by the node itself, to refute what others say about it. */
  readonly incarnation: number;
}

/**
 * Why a member event was sent:
 * - `joined`: first heard of; `member.status` may be any.
 * - `alive`: back from suspect, dead or left, same boot and run.
 * - `suspect`, `dead`, `left`: as {@link MemberStatus}.
 * - `boot`: alive with a new boot (and run): void its older tickets, restart every stream with it.
 * - `run`: alive with a new run, same boot: restart every stream; whatever it stored is gone.
 * - `facts`: other facts changed (draining, digest, address); status did not.
 * - `forgotten`: the last event of this index; the index may be given to another node after it.
 * Exactly one event per change; a dead node that comes back with a new boot gives only `boot`.
 */
export type MemberChange =
  | 'joined'
  | 'alive'
  | 'suspect'
  | 'dead'
  | 'left'
  | 'boot'
  | 'run'
  | 'facts'
  | 'forgotten';

export type MeshEvent =
  /** The time returned by `nextWakeupMs` has come (or another part's has; look at `nowMs`). */
  | { readonly type: 'tick' }
  /**
   * This process stood still for `lateMs` and a wake-up came late by that much. Sent before any
   * tick or frame that follows, so that waiting times can be moved by `lateMs` instead of judging
   * others for our own silence.
   */
  | { readonly type: 'stalled'; readonly lateMs: number }
  /**
   * One frame of a datagram. The sender is authenticated and its current boot and run (as in the
   * peer table) are those of its session: frames of an older life are dropped before this.
   * `body` is valid only during the call: copy what you keep. May be lost, doubled by nobody
   * (replays are dropped), reordered.
   */
  | {
      readonly type: 'frame';
      readonly from: PeerIndex;
      readonly channel: Channel;
      readonly body: Uint8Array;
    }
  /** One whole message of a stream, in order per sender. `body` is valid only during the call. */
  | {
      readonly type: 'stream';
      readonly from: PeerIndex;
      readonly channel: Channel;
      readonly body: Uint8Array;
    }
  /** Stream messages given to `to` since the last `streamUp` may be lost: the stream broke. */
  | { readonly type: 'streamDown'; readonly to: PeerIndex }
  /**
   * A rumour from `from` (a relay, not necessarily its origin). May arrive many times, in any
   * order: when it is news, call `broadcast` again with the same key to pass it on; else drop it.
   */
  | {
      readonly type: 'rumour';
      readonly from: PeerIndex;
      readonly channel: Channel;
      readonly body: Uint8Array;
    }
  | {
      readonly type: 'member';
      readonly change: MemberChange;
      readonly peer: PeerIndex;
      readonly member: Member;
    };

/** Something the application outside the mesh wants to know (search answered, keys changed …). */
export interface MeshNotice {
  readonly type: string;
}

/** Where a component puts everything it wants done. Valid only during the call it was handed to. */
export interface Outbox {
  /**
   * Sends one frame in an encrypted datagram, unreliably. Copies `body` before it returns, so the
   * caller may reuse its buffer. Frames to one peer made during one call share datagrams.
   * @returns false when nothing was sent: the peer is this node, unknown, dead or left, `body` is
   * longer than {@link FRAME_BYTES_MAX}, or the bounded queue of a peer whose key exchange is
   * under way is full. Never throws; treat false like a loss.
   */
  send(to: PeerIndex, channel: Channel, body: Uint8Array): boolean;
  /**
   * Sends one message reliably and in order over the peer's encrypted TCP stream, for bulk repair.
   * Copies `body`. Opened on demand, closed when idle. A break is told by `streamDown`.
   * @returns false when refused: unknown, dead or left peer, longer than {@link STREAM_BYTES_MAX},
   * or more than {@link STREAM_QUEUE_BYTES_MAX} waiting (back off and try again later).
   */
  stream(to: PeerIndex, channel: Channel, body: Uint8Array): boolean;
  /**
   * Starts or passes on a rumour: it rides on the mesh's datagrams to a few random nodes at a time,
   * about `4 log10(n)` times in all. A newer rumour with the same channel and key replaces an older
   * one in the queue. Unreliable: pair it with some repair. The queue is bounded; the rumour that
   * was sent most often is dropped first. Copies `body` (at most {@link RUMOUR_BYTES_MAX}).
   */
  broadcast(channel: Channel, key: string, body: Uint8Array): void;
  /** Tells the application of this process. */
  notify(notice: MeshNotice): void;
}

/** Read-only view of membership, always current while an event is handled. */
export interface PeerTable {
  /** This node's own index; never changes. Its member is always `alive` (or `left`). */
  readonly self: PeerIndex;
  /** `undefined` when nobody has that index. */
  get(peer: PeerIndex): Member | undefined;
  indexOf(id: NodeId): PeerIndex | undefined;
  /** Every index in use: alive, suspect, dead and left. Sorted by index. */
  indices(): readonly PeerIndex[];
  /** Smoothed round trip, milliseconds, of answered probes; `undefined` before the first. */
  rttMs(peer: PeerIndex): number | undefined;
}

/**
 * A deterministic part of the mesh: same events, times and generator, same effects.
 * A method that the application calls takes `(nowMs, …, out)` the same way.
 * `nowMs` is monotonic, fractional milliseconds from an arbitrary start, never goes back, and says
 * nothing about wall time.
 */
export interface MeshComponent {
  /** Channels whose frames, streams and rumours this component gets. Fixed, disjoint from others'. */
  readonly channels: readonly Channel[];
  /** Named counts that only rise, and gauges, for metrics. Keys are fixed at construction. */
  readonly counters: Readonly<Record<string, number>>;
  /** Never throws on bytes from outside: count and ignore what cannot be parsed. */
  handle(nowMs: number, event: MeshEvent, out: Outbox): void;
  /** When `tick` is wanted next; `undefined` when never. Cheap: asked after every event. */
  nextWakeupMs(): number | undefined;
}
