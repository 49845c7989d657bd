import { PROTOCOL_MAX } from '../../proto/protocol.ts';
import {
  CHANNELS_MAX,
  type Channel,
  FRAME_BYTES_MAX,
  type MeshComponent,
  type MeshEvent,
  type Outbox,
  type PeerIndex,
  type PeerTable,
  STREAM_BYTES_MAX,
} from '../core.ts';

/** A packet field that this version does not know: number 14, three bytes. */
export const NEXT_VERSION_FIELDS = Uint8Array.of((14 << 3) | 2, 3, 1, 2, 3);
/** What the next version adds to the end of messages. */
const TRAILING = Uint8Array.of(0xfe, 0xed, 0xfa, 0xce, 0xbe, 0xef);
/** Flow-ticket messages that may grow at the end: frame, ack, digest, reply, snapshot, check. */
const GROWING: readonly Channel[] = [16, 17, 18, 19, 20, 21];
/** A message type that this version does not know, after so many messages. */
const UNKNOWN_CHANNEL: Channel = CHANNELS_MAX - 1;
const UNKNOWN_EVERY = 8;

/**
 * A component as the next version of the protocol may have it: does the same, but its messages are
 * longer and there is one type more. The present version must skip both.
 */
export class NextVersion implements MeshComponent {
  readonly channels: readonly Channel[];
  readonly counters: Readonly<Record<string, number>>;
  readonly #component: MeshComponent;
  readonly #peers: PeerTable;
  #frames = 0;
  #bare: Outbox | undefined;
  #grown: Outbox | undefined;

  constructor(component: MeshComponent, peers: PeerTable) {
    this.#component = component;
    this.#peers = peers;
    this.channels = component.channels;
    this.counters = component.counters;
  }

  handle(nowMs: number, event: MeshEvent, out: Outbox): void {
    this.#component.handle(nowMs, event, this.#outFor(out));
    if (event.type !== 'frame' || this.#frames++ % UNKNOWN_EVERY !== 0) return;
    out.send(event.from, UNKNOWN_CHANNEL, TRAILING);
    out.stream(event.from, UNKNOWN_CHANNEL, TRAILING);
    // Once: for ever would keep the mesh from being quiet.
    if (this.#frames === 1) out.broadcast(UNKNOWN_CHANNEL, 'next', TRAILING);
  }

  nextWakeupMs(): number | undefined {
    return this.#component.nextWakeupMs();
  }

  /** The core hands over one and the same every time. */
  #outFor(out: Outbox): Outbox {
    if (this.#bare !== out) {
      this.#bare = out;
      this.#grown = this.#growing(out);
    }
    return this.#grown!;
  }

  #growing(out: Outbox): Outbox {
    return {
      send: (to, channel, body) =>
        out.send(to, channel, this.#grow(to, channel, body, FRAME_BYTES_MAX)),
      stream: (to, channel, body) =>
        out.stream(to, channel, this.#grow(to, channel, body, STREAM_BYTES_MAX)),
      broadcast: (channel, key, body) => out.broadcast(channel, key, body),
      notify: (notice) => out.notify(notice),
    };
  }

  /** Only to whom has all that the present version has: what is new comes behind that. */
  #grow(to: PeerIndex, channel: Channel, body: Uint8Array, most: number): Uint8Array {
    const isOld = (this.#peers.get(to)?.protocolMax ?? 0) < PROTOCOL_MAX;
    if (isOld || !GROWING.includes(channel) || body.length + TRAILING.length > most) return body;
    const grown = new Uint8Array(body.length + TRAILING.length);
    grown.set(body);
    grown.set(TRAILING, body.length);
    return grown;
  }
}
