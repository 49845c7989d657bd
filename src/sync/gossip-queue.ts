import type { PacketWriter } from '../proto/packet.ts';

interface Rumoured {
  readonly topic: string;
  readonly field: number;
  readonly body: Uint8Array;
  sends: number;
  /** Replaced or done; its place in a list is cleaned up when it is met. */
  gone: boolean;
}

/** Most sends of one rumour; the retransmit limit never exceeds it. */
const SENDS_MAX = 64;
/** Most rumours under one topic. */
const VARIANTS_MAX = 8;
/** Less room than the shortest useful rumour needs. */
const ROOM_BYTES_MIN = 8;

/**
 * Rumours waiting to ride on datagrams: least sent first, then newest first. A rumour leaves after
 * its limit of sends, or when a newer one on its topic replaces it. Bounded: when full, the one sent
 * most often (among these the oldest) is dropped.
 */
export class GossipQueue {
  readonly #max: number;
  readonly #byTopic = new Map<string, Rumoured[]>();
  /** By number of sends so far; within one, oldest first. */
  readonly #bySends: Rumoured[][] = [[]];
  readonly #sent: Rumoured[] = [];
  #size = 0;
  #dropped = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  /** Rumours dropped because the queue was full. */
  get dropped(): number {
    return this.#dropped;
  }

  /** @param beside True keeps what is already told on this topic (further confirmations). */
  add(topic: string, field: number, body: Uint8Array, beside = false): void {
    const variants = this.#byTopic.get(topic);
    if (variants !== undefined && (!beside || variants.length >= VARIANTS_MAX)) {
      for (const variant of [...variants]) this.#discard(variant);
    }
    if (this.#size >= this.#max) this.#dropOne();
    const rumour: Rumoured = { topic, field, body, sends: 0, gone: false };
    const others = this.#byTopic.get(topic);
    if (others === undefined) this.#byTopic.set(topic, [rumour]);
    else others.push(rumour);
    this.#bySends[0]!.push(rumour);
    this.#size += 1;
  }

  /** Appends what fits, counting one send each. @returns how many rumours were written. */
  fill(packet: PacketWriter, sendsMax: number): number {
    if (this.#size === 0) return 0;
    const limit = Math.min(SENDS_MAX, sendsMax);
    const sent = this.#sent;
    let written = 0;
    for (const list of this.#bySends) {
      for (let i = list.length - 1; i >= 0 && packet.roomBytes > ROOM_BYTES_MIN; i -= 1) {
        const rumour = list[i]!;
        if (!rumour.gone) {
          if (!packet.append(rumour.field, rumour.body)) continue;
          written += 1;
          rumour.sends += 1;
          if (rumour.sends < limit) sent.push(rumour);
          else this.#discard(rumour);
        }
        list.splice(i, 1);
      }
    }
    // Only now, so that no rumour is met twice in one datagram.
    for (let i = sent.length - 1; i >= 0; i -= 1) {
      const rumour = sent[i]!;
      this.#bySends[rumour.sends] ??= [];
      this.#bySends[rumour.sends]!.push(rumour);
    }
    sent.length = 0;
    return written;
  }

  #discard(rumour: Rumoured): void {
    if (rumour.gone) return;
    rumour.gone = true;
    this.#size -= 1;
    const variants = this.#byTopic.get(rumour.topic)!;
    if (variants.length === 1) this.#byTopic.delete(rumour.topic);
    else variants.splice(variants.indexOf(rumour), 1);
  }

  #dropOne(): void {
    for (let sends = this.#bySends.length - 1; sends >= 0; sends -= 1) {
      const list = this.#bySends[sends]!;
      while (list.length > 0) {
        const rumour = list.shift()!;
        if (rumour.gone) continue;
        this.#discard(rumour);
        this.#dropped += 1;
        return;
      }
    }
  }
}
