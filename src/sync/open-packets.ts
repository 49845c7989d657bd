import { ENVELOPE_HEAD_BYTES, TAG_BYTES } from '../proto/envelope.ts';
import { PacketWriter } from '../proto/packet.ts';
import { DATAGRAM_BYTES_MAX, type PeerIndex } from './core.ts';

const POOLED_MAX = 64;
/** Empty packets, for every core of this process. */
const pool: PacketWriter[] = [];

/** Packets that are being put together, one per receiver, in the order in which they were begun. */
export class OpenPackets {
  /** Only the first `#count` count: arrays that are emptied by their length lose their memory. */
  readonly #packets: PacketWriter[] = [];
  readonly #to: PeerIndex[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  receiver(place: number): PeerIndex {
    return this.#to[place]!;
  }

  packet(place: number): PacketWriter {
    return this.#packets[place]!;
  }

  /** The one for that receiver, begun if there is none. */
  open(to: PeerIndex): PacketWriter {
    const place = this.#placeOf(to);
    if (place >= 0) return this.#packets[place]!;
    const packet =
      pool.pop() ?? new PacketWriter(DATAGRAM_BYTES_MAX, ENVELOPE_HEAD_BYTES, TAG_BYTES);
    this.#packets[this.#count] = packet;
    this.#to[this.#count] = to;
    this.#count += 1;
    return packet;
  }

  /** What was put together for that receiver so far is for nobody now. */
  clear(to: PeerIndex): void {
    const place = this.#placeOf(to);
    if (place >= 0) this.#packets[place]!.clear();
  }

  /** Ends all of them; what is in them is gone. */
  end(): void {
    for (let i = 0; i < this.#count; i += 1) {
      const packet = this.#packets[i]!;
      packet.clear();
      if (pool.length < POOLED_MAX) pool.push(packet);
    }
    this.#count = 0;
  }

  #placeOf(to: PeerIndex): number {
    for (let i = 0; i < this.#count; i += 1) if (this.#to[i] === to) return i;
    return -1;
  }
}
