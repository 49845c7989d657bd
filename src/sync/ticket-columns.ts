/**
 * Memory of a ticket store: one column per fact, in segments that are added as tickets come and are
 * used again as tickets go. No object per ticket: a ticket is a number.
 *
 *     key 36 │ hash 4 │ next 4 │ chain next 4, previous 4 │ generation 4 │ tenure 2 │ bucket 2 │ flags 1
 */
import { type FlowKey, KEY_WORDS } from '../proto/ticket-key.ts';

/** No ticket: the end of a list. */
export const NONE = -1;
/** Tenure of a place that holds no ticket. */
export const FREE = 0xffff;

const SEGMENT_BITS = 11;
const SEGMENT = 1 << SEGMENT_BITS;
const MASK = SEGMENT - 1;

const USED = 1;
const MARK = 2;

class Segment {
  readonly keys = new Uint32Array(SEGMENT * KEY_WORDS);
  readonly hash = new Int32Array(SEGMENT);
  readonly next = new Int32Array(SEGMENT);
  readonly chainNext = new Int32Array(SEGMENT);
  readonly chainPrevious = new Int32Array(SEGMENT);
  readonly generation = new Uint32Array(SEGMENT);
  readonly tenure = new Uint16Array(SEGMENT).fill(FREE);
  readonly bucket = new Uint16Array(SEGMENT);
  readonly flags = new Uint8Array(SEGMENT);
}

export class TicketColumns {
  readonly #segments: Segment[] = [];
  #freeHead = NONE;
  #top = 0;

  /** Places ever used; tickets are numbers below this. */
  get top(): number {
    return this.#top;
  }

  /** A place for a ticket. Its columns hold old values. */
  take(): number {
    const free = this.#freeHead;
    if (free !== NONE) {
      this.#freeHead = this.nextOf(free);
      return free;
    }
    if ((this.#top & MASK) === 0) this.#segments.push(new Segment());
    return this.#top++;
  }

  /** Gives a place back. */
  free(ticket: number): void {
    this.setTenure(ticket, FREE);
    this.setNext(ticket, this.#freeHead);
    this.#freeHead = ticket;
  }

  keyEquals(ticket: number, key: FlowKey): boolean {
    const { keys } = this.#segments[ticket >>> SEGMENT_BITS]!;
    const at = (ticket & MASK) * KEY_WORDS;
    // The ports, then the client's address, tell most keys apart.
    for (let i = KEY_WORDS - 1; i >= 0; i--) if (keys[at + i] !== key[i]) return false;
    return true;
  }

  readKey(ticket: number, key: FlowKey): void {
    const { keys } = this.#segments[ticket >>> SEGMENT_BITS]!;
    const at = (ticket & MASK) * KEY_WORDS;
    for (let i = 0; i < KEY_WORDS; i++) key[i] = keys[at + i]!;
  }

  setKey(ticket: number, key: FlowKey): void {
    const { keys } = this.#segments[ticket >>> SEGMENT_BITS]!;
    const at = (ticket & MASK) * KEY_WORDS;
    for (let i = 0; i < KEY_WORDS; i++) keys[at + i] = key[i]!;
  }

  hashOf(ticket: number): number {
    return this.#segments[ticket >>> SEGMENT_BITS]!.hash[ticket & MASK]!;
  }

  setHash(ticket: number, hash: number): void {
    this.#segments[ticket >>> SEGMENT_BITS]!.hash[ticket & MASK] = hash;
  }

  nextOf(ticket: number): number {
    return this.#segments[ticket >>> SEGMENT_BITS]!.next[ticket & MASK]!;
  }

  setNext(ticket: number, next: number): void {
    this.#segments[ticket >>> SEGMENT_BITS]!.next[ticket & MASK] = next;
  }

  chainNextOf(ticket: number): number {
    return this.#segments[ticket >>> SEGMENT_BITS]!.chainNext[ticket & MASK]!;
  }

  setChainNext(ticket: number, next: number): void {
    this.#segments[ticket >>> SEGMENT_BITS]!.chainNext[ticket & MASK] = next;
  }

  chainPreviousOf(ticket: number): number {
    return this.#segments[ticket >>> SEGMENT_BITS]!.chainPrevious[ticket & MASK]!;
  }

  setChainPrevious(ticket: number, previous: number): void {
    this.#segments[ticket >>> SEGMENT_BITS]!.chainPrevious[ticket & MASK] = previous;
  }

  generationOf(ticket: number): number {
    return this.#segments[ticket >>> SEGMENT_BITS]!.generation[ticket & MASK]!;
  }

  setGeneration(ticket: number, generation: number): void {
    this.#segments[ticket >>> SEGMENT_BITS]!.generation[ticket & MASK] = generation;
  }

  tenureOf(ticket: number): number {
    return this.#segments[ticket >>> SEGMENT_BITS]!.tenure[ticket & MASK]!;
  }

  setTenure(ticket: number, tenure: number): void {
    this.#segments[ticket >>> SEGMENT_BITS]!.tenure[ticket & MASK] = tenure;
  }

  bucketOf(ticket: number): number {
    return this.#segments[ticket >>> SEGMENT_BITS]!.bucket[ticket & MASK]!;
  }

  setBucket(ticket: number, bucket: number): void {
    this.#segments[ticket >>> SEGMENT_BITS]!.bucket[ticket & MASK] = bucket;
  }

  /** Whether it was asked for since the clock hand passed. */
  usedOf(ticket: number): boolean {
    return this.#flag(ticket, USED);
  }

  setUsed(ticket: number, used: boolean): void {
    this.#setFlag(ticket, USED, used);
  }

  /** A note for one pass over some tickets; whoever sets it takes it away. */
  markOf(ticket: number): boolean {
    return this.#flag(ticket, MARK);
  }

  setMark(ticket: number, mark: boolean): void {
    this.#setFlag(ticket, MARK, mark);
  }

  #flag(ticket: number, flag: number): boolean {
    return (this.#segments[ticket >>> SEGMENT_BITS]!.flags[ticket & MASK]! & flag) !== 0;
  }

  #setFlag(ticket: number, flag: number, value: boolean): void {
    const { flags } = this.#segments[ticket >>> SEGMENT_BITS]!;
    if (value) flags[ticket & MASK]! |= flag;
    else flags[ticket & MASK]! &= ~flag;
  }
}
