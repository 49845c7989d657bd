/**
 * Hash index over ticket columns by linear hashing (Litwin, "Linear hashing: a new tool for file and
 * table addressing", 1980): it grows by one list at a time, so that no insert ever waits for a
 * rehash of millions. Lists are chained through the columns.
 */
import { NONE, type TicketColumns } from './ticket-columns.ts';

const FIRST = 1_024;
const SEGMENT_BITS = 10;
const MASK = (1 << SEGMENT_BITS) - 1;

export class TicketIndex {
  readonly #columns: TicketColumns;
  readonly #heads: Int32Array[] = [new Int32Array(FIRST).fill(NONE)];
  /** Lists from 0 to here were split in this round; `#round` is a power of two. */
  #split = 0;
  #round = FIRST;
  #count = 0;

  constructor(columns: TicketColumns) {
    this.#columns = columns;
  }

  /** First ticket of the list in which every ticket with this hash is. */
  head(hash: number): number {
    const list = this.#list(hash);
    return this.#heads[list >>> SEGMENT_BITS]![list & MASK]!;
  }

  /** Puts a ticket whose hash is set in front of its list. */
  insert(ticket: number): void {
    const list = this.#list(this.#columns.hashOf(ticket));
    const heads = this.#heads[list >>> SEGMENT_BITS]!;
    this.#columns.setNext(ticket, heads[list & MASK]!);
    heads[list & MASK] = ticket;
    this.#count++;
    if (this.#count > this.#round + this.#split) this.#grow();
  }

  remove(ticket: number): void {
    const columns = this.#columns;
    const list = this.#list(columns.hashOf(ticket));
    const heads = this.#heads[list >>> SEGMENT_BITS]!;
    let at = heads[list & MASK]!;
    this.#count--;
    if (at === ticket) {
      heads[list & MASK] = columns.nextOf(ticket);
      return;
    }
    while (columns.nextOf(at) !== ticket) at = columns.nextOf(at);
    columns.setNext(at, columns.nextOf(ticket));
  }

  #list(hash: number): number {
    const list = hash & (this.#round - 1);
    return list < this.#split ? hash & (this.#round * 2 - 1) : list;
  }

  /** Splits the next list in two, keeping the order: newest first. */
  #grow(): void {
    const columns = this.#columns;
    const from = this.#split;
    const to = from + this.#round;
    if ((to & MASK) === 0) this.#heads.push(new Int32Array(1 << SEGMENT_BITS).fill(NONE));
    let at = this.#heads[from >>> SEGMENT_BITS]![from & MASK]!;
    let keptTail = NONE;
    let movedTail = NONE;
    let keptHead = NONE;
    let movedHead = NONE;
    while (at !== NONE) {
      if ((columns.hashOf(at) & this.#round) === 0) {
        if (keptTail === NONE) keptHead = at;
        else columns.setNext(keptTail, at);
        keptTail = at;
      } else {
        if (movedTail === NONE) movedHead = at;
        else columns.setNext(movedTail, at);
        movedTail = at;
      }
      at = columns.nextOf(at);
    }
    if (keptTail !== NONE) columns.setNext(keptTail, NONE);
    if (movedTail !== NONE) columns.setNext(movedTail, NONE);
    this.#heads[from >>> SEGMENT_BITS]![from & MASK] = keptHead;
    this.#heads[to >>> SEGMENT_BITS]![to & MASK] = movedHead;
    this.#split++;
    if (this.#split === this.#round) {
      this.#round *= 2;
      this.#split = 0;
    }
  }
}
