/**
 * The kernel's event ring, read through its own memory: no system call and no callback per event.
 *
 *     page 0: consumer position (ours) │ page 1: producer position │ data │ the same data again
 *     record: u32 length + busy bit + discard bit │ u32 │ event (48 bytes)
 *
 * Layout: Documentation/bpf/ringbuf.rst of Linux.
 */
import { type FlowKey, KEY_WORDS } from '../proto/ticket-key.ts';
import { BORN, ENDED, EVENT, FOUND, KEPT, NO_SLOT, REFUSED, SEARCH, SWITCHED } from './layout.ts';
import { type Mapping, mapMemory } from './libbpf.ts';
import { SOURCES, type TicketSource } from './ticket-table.ts';

/** What the kernel has to say. Keys are valid only during the call. */
export interface EventReader {
  /**
   * A flow ticket of this node is born. `whole` when its connection is established; else a handshake
   * is under way and `kept` follows, or nothing does: give a half-open ticket up after a minute.
   */
  born(key: FlowKey, bucket: number, generation: number, whole: boolean): void;
  /** The handshake of a ticket told before was completed. */
  kept(key: FlowKey, bucket: number, generation: number): void;
  /**
   * Its socket closed. TIME_WAIT may last a minute yet, and a newer flow may use the same ports:
   * end this generation only.
   */
  ended(key: FlowKey, bucket: number, generation: number): void;
  /**
   * Nobody here knows who owns this flow: ask the others. Its packets wait. `except` is the slot of
   * a node that said, or is known, not to be the owner (it may be this one).
   */
  search(key: FlowKey, bucket: number, except: number | undefined): void;
  /** The first packet relayed to `owner` by a ticket. */
  switched(key: FlowKey, bucket: number, owner: number, source: TicketSource): void;
  /** This node, as home, passed a packet of `entry` on: tell `entry` the owner. */
  found(key: FlowKey, bucket: number, entry: number): void;
  /** `owner` sent a packet back, so the kernel dropped the ticket that named it. */
  refused(key: FlowKey, bucket: number, owner: number): void;
}

const PAGE_BYTES = 4_096;
const BUSY = 0x8000_0000;
const DISCARD = 0x4000_0000;
const HEAD_BYTES = 8;
const KEY_AT = EVENT.key / 4;

export class EventRing {
  readonly #mask: number;
  readonly #consumer: Mapping;
  readonly #producer: Mapping;
  readonly #consumed: BigInt64Array;
  readonly #produced: BigInt64Array;
  readonly #words: Int32Array;
  readonly #key = new Uint32Array(KEY_WORDS);

  /** @param bytes Size of the ring, as the map says. */
  constructor(fd: number, bytes: number) {
    this.#mask = bytes - 1;
    this.#consumer = mapMemory(fd, PAGE_BYTES);
    this.#producer = mapMemory(fd, PAGE_BYTES + 2 * bytes, PAGE_BYTES, false);
    this.#consumed = new BigInt64Array(this.#consumer.buffer, 0, 1);
    this.#produced = new BigInt64Array(this.#producer.buffer, 0, 1);
    this.#words = new Int32Array(this.#producer.buffer, PAGE_BYTES);
  }

  /** Nothing to read. Cheaper to ask than to try. */
  get isEmpty(): boolean {
    return Atomics.load(this.#produced, 0) === this.#consumed[0]!;
  }

  /**
   * Reads up to `most` events.
   * @returns how many were read. An event that a reader throws on is lost, those behind it are not.
   */
  drain(reader: EventReader, most: number): number {
    let position = Number(this.#consumed[0]!);
    const end = Number(Atomics.load(this.#produced, 0));
    let count = 0;
    try {
      while (position < end && count < most) {
        const at = (position & this.#mask) >>> 2;
        const head = Atomics.load(this.#words, at);
        if (head & BUSY) break;
        const bytes = head & ~DISCARD;
        position += HEAD_BYTES + ((bytes + 7) & ~7);
        if (head & DISCARD || bytes < EVENT.bytes) continue;
        count++;
        this.#read(at + HEAD_BYTES / 4, reader);
      }
    } finally {
      Atomics.store(this.#consumed, 0, BigInt(position));
    }
    return count;
  }

  close(): void {
    this.#consumer.unmap();
    this.#producer.unmap();
  }

  #read(at: number, reader: EventReader): void {
    const words = this.#words;
    const key = this.#key;
    const first = words[at]!;
    const slot = first >>> 16;
    const bucket = words[at + 1]! & 0xffff;
    const generation = words[at + 2]! >>> 0;
    for (let i = 0; i < KEY_WORDS; i++) key[i] = words[at + KEY_AT + i]!;
    switch (first & 0xff) {
      case BORN:
        reader.born(key, bucket, generation, (first & 0xff00) !== 0);
        break;
      case KEPT:
        reader.kept(key, bucket, generation);
        break;
      case ENDED:
        reader.ended(key, bucket, generation);
        break;
      case SEARCH:
        reader.search(key, bucket, slot === NO_SLOT ? undefined : slot);
        break;
      case SWITCHED:
        reader.switched(key, bucket, slot, SOURCES[(first >>> 8) & 0xff] ?? 'directory');
        break;
      case FOUND:
        reader.found(key, bucket, slot);
        break;
      case REFUSED:
        reader.refused(key, bucket, slot);
        break;
    }
  }
}
