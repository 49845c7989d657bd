/**
 * The part of the mesh that fills the kernel: members into its table of nodes, the table of homes,
 * and what other nodes say or ask about single flows. See docs/design/agent.md.
 */
import type { FlowKey } from '../proto/ticket-key.ts';
import type {
  Channel,
  Member,
  MemberChange,
  MeshComponent,
  MeshEvent,
  MeshNotice,
  Outbox,
  PeerIndex,
  PeerTable,
} from '../sync/core.ts';
import { FRAME_BYTES_MAX } from '../sync/core.ts';
import { nodeHash } from '../sync/homes-score.ts';
import type { FlowFeed } from './flow-feed.ts';
import type { HomesFeed } from './homes-feed.ts';
import type { NodeSlots } from './node-slots.ts';
import { HINT_BYTES, readHints, writeHint } from './owner-hint.ts';
import {
  decodeTraceAnswer,
  decodeTraceAsk,
  encodeTraceAnswer,
  encodeTraceAsk,
  type NodeTrace,
} from './trace-message.ts';

/** Home to entry: who owns flows whose packets the home passed on (owner-hint.ts). */
export const CHANNEL_OWNER_HINT = 40;
/** Anyone to anyone: what would you do with this flow? (trace-message.ts) */
export const CHANNEL_TRACE_ASK = 41;
export const CHANNEL_TRACE_ANSWER = 42;

/** An answer of another node came in. */
export interface TraceNotice extends MeshNotice {
  readonly type: 'flowTrace';
  readonly id: number;
  readonly peer: PeerIndex;
  readonly trace: NodeTrace;
}

export interface HealerOptions {
  readonly peers: PeerTable;
  readonly slots: NodeSlots;
  readonly homes: HomesFeed;
  readonly flows: FlowFeed;
  /** What this node's kernel would do with the flow. */
  readonly trace: (key: FlowKey) => NodeTrace;
  /** Told after each change of membership. */
  readonly changed: (peer: PeerIndex, member: Member, change: MemberChange) => void;
  /** Told when it begins or ends that a silent node may own what nobody knows. */
  readonly doubt: (isDoubtful: boolean) => void;
}

/** Questions of one node answered per second; a trace is asked by people. */
const ANSWERS_PER_SECOND = 100;

export class Healer implements MeshComponent {
  readonly channels: readonly Channel[] = [
    CHANNEL_OWNER_HINT,
    CHANNEL_TRACE_ASK,
    CHANNEL_TRACE_ANSWER,
  ];
  readonly counters: Record<string, number> = {
    bodiesMalformed: 0,
    hintsDoubted: 0,
    tracesAnswered: 0,
  };
  readonly #options: HealerOptions;
  readonly #names = new Map<string, PeerIndex>();
  readonly #hints = new Map<PeerIndex, { bytes: Uint8Array; used: number }>();
  #answersLeft = ANSWERS_PER_SECOND;
  #answersAtMs = Number.NEGATIVE_INFINITY;
  #nowMs = 0;
  #isDoubtful = false;

  constructor(options: HealerOptions) {
    this.#options = options;
    const { peers } = options;
    this.#names.set(nameOf(peers.get(peers.self)!.id), peers.self);
  }

  /** A packet of `entry` was passed on to `owner`; sent by {@link flush}, together with others. */
  hint(key: FlowKey, entry: PeerIndex, owner: PeerIndex, out: Outbox): void {
    const member = this.#options.peers.get(owner);
    if (member === undefined) return;
    let frame = this.#hints.get(entry);
    if (frame === undefined) {
      frame = { bytes: new Uint8Array(FRAME_BYTES_MAX), used: 0 };
      this.#hints.set(entry, frame);
    }
    const { low, high } = nodeHash(member.id);
    frame.used = writeHint(frame.bytes, frame.used, key, { low, high, boot: member.boot });
    if (frame.used + HINT_BYTES > FRAME_BYTES_MAX) this.#send(entry, frame, out);
  }

  /** Ends a round: sends the hints that it brought. */
  flush(out: Outbox): void {
    for (const [entry, frame] of this.#hints) this.#send(entry, frame, out);
  }

  /** Asks every live node; answers come as {@link TraceNotice}. @returns how many were asked. */
  askTrace(id: number, key: FlowKey, out: Outbox): number {
    const { peers } = this.#options;
    const body = encodeTraceAsk(id, key);
    let asked = 0;
    for (const peer of peers.indices()) {
      if (peer !== peers.self && out.send(peer, CHANNEL_TRACE_ASK, body)) asked++;
    }
    return asked;
  }

  handle(nowMs: number, event: MeshEvent, out: Outbox): void {
    this.#nowMs = nowMs;
    const { slots, homes, flows } = this.#options;
    flows.begin(nowMs, out);
    switch (event.type) {
      case 'member':
        this.#member(nowMs, event);
        break;
      case 'frame':
        this.#frame(nowMs, event.from, event.channel, event.body, out);
        break;
      case 'tick':
        slots.tick(nowMs);
        flows.tick(nowMs);
        break;
      default:
        break;
    }
    homes.tick(nowMs);
    if (event.type !== 'member' && event.type !== 'tick') return;
    const isDoubtful = slots.isDoubtful(nowMs);
    if (isDoubtful === this.#isDoubtful) return;
    this.#isDoubtful = isDoubtful;
    this.#options.doubt(isDoubtful);
  }

  nextWakeupMs(): number {
    const { slots, homes, flows } = this.#options;
    return Math.min(slots.nextWakeupMs(), homes.nextWakeupMs(this.#nowMs), flows.nextWakeupMs());
  }

  #member(nowMs: number, { change, peer, member }: Extract<MeshEvent, { type: 'member' }>): void {
    const { slots, changed } = this.#options;
    slots.observe(nowMs, change, peer, member);
    if (change === 'forgotten') {
      this.#names.delete(nameOf(member.id));
      this.#hints.delete(peer);
    } else this.#names.set(nameOf(member.id), peer);
    changed(peer, member, change);
  }

  #frame(nowMs: number, from: PeerIndex, channel: Channel, body: Uint8Array, out: Outbox): void {
    if (channel === CHANNEL_OWNER_HINT) {
      if (!readHints(body, (key, owner) => this.#hinted(key, owner))) this.#malformed();
    } else if (channel === CHANNEL_TRACE_ASK) {
      const asked = decodeTraceAsk(body);
      if (asked === undefined) this.#malformed();
      else if (this.#mayAnswer(nowMs)) {
        this.counters.tracesAnswered! += 1;
        const answer = encodeTraceAnswer(asked.id, this.#options.trace(asked.key));
        out.send(from, CHANNEL_TRACE_ANSWER, answer);
      }
    } else {
      const answer = decodeTraceAnswer(body);
      if (answer === undefined) this.#malformed();
      else {
        const notice: TraceNotice = { type: 'flowTrace', peer: from, ...answer };
        out.notify(notice);
      }
    }
  }

  #hinted(key: FlowKey, owner: { low: number; high: number; boot: number }): void {
    const { peers, flows } = this.#options;
    const peer = this.#names.get(`${owner.low}:${owner.high}`);
    const member = peer === undefined ? undefined : peers.get(peer);
    const good =
      member !== undefined &&
      peer !== peers.self &&
      member.boot === owner.boot &&
      (member.status === 'alive' || member.status === 'suspect');
    if (good) flows.hinted(key, peer!);
    else this.counters.hintsDoubted! += 1;
  }

  #send(entry: PeerIndex, frame: { bytes: Uint8Array; used: number }, out: Outbox): void {
    if (frame.used > 0) {
      out.send(entry, CHANNEL_OWNER_HINT, frame.bytes.subarray(0, frame.used));
    }
    frame.used = 0;
  }

  #mayAnswer(nowMs: number): boolean {
    if (nowMs - this.#answersAtMs >= 1_000) {
      this.#answersAtMs = nowMs;
      this.#answersLeft = ANSWERS_PER_SECOND;
    }
    return this.#answersLeft-- > 0;
  }

  #malformed(): void {
    this.counters.bodiesMalformed! += 1;
  }
}

function nameOf(id: string): string {
  const { low, high } = nodeHash(id);
  return `${low}:${high}`;
}
