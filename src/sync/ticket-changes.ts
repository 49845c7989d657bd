/**
 * What changed among the tickets of other owners since it was last asked, for a reader who fills the
 * kernel's map in batches. Bounded: when the reader is too slow, the log forgets and says so, and the
 * reader starts again from the whole store.
 */
import { type FlowKey, KEY_WORDS } from '../proto/ticket-key.ts';
import type { PeerIndex } from './core.ts';

const VOIDED = 0xffff;

export interface ChangeReader {
  /** Packets of this flow go to `owner` from now on. `key` is valid only during the call. */
  learned(key: FlowKey, owner: PeerIndex): void;
  /** No other node is known to own this flow any more. */
  voided(key: FlowKey): void;
}

export class TicketChanges {
  readonly #most: number;
  readonly #keys: Uint32Array;
  readonly #owners: Uint16Array;
  readonly #key = new Uint32Array(KEY_WORDS);
  #head = 0;
  #count = 0;
  #overflowed = false;

  /** @param most Changes kept, 38 bytes each. Default 65,536. */
  constructor(most = 65_536) {
    this.#most = most;
    this.#keys = new Uint32Array(most * KEY_WORDS);
    this.#owners = new Uint16Array(most);
  }

  get pending(): number {
    return this.#count;
  }

  /** True once after changes were lost: read the whole store instead. */
  takeOverflow(): boolean {
    const was = this.#overflowed;
    this.#overflowed = false;
    return was;
  }

  learned(key: FlowKey, owner: PeerIndex): void {
    this.#push(key, owner);
  }

  voided(key: FlowKey): void {
    this.#push(key, VOIDED);
  }

  /**
   * Reads and forgets up to `most` changes, oldest first.
   * @returns how many were read.
   */
  drain(reader: ChangeReader, most: number): number {
    const count = Math.min(most, this.#count);
    const key = this.#key;
    for (let i = 0; i < count; i++) {
      const at = this.#head;
      for (let w = 0; w < KEY_WORDS; w++) key[w] = this.#keys[at * KEY_WORDS + w]!;
      this.#head = at + 1 === this.#most ? 0 : at + 1;
      this.#count--;
      const owner = this.#owners[at]!;
      if (owner === VOIDED) reader.voided(key);
      else reader.learned(key, owner);
    }
    return count;
  }

  #push(key: FlowKey, owner: number): void {
    if (this.#count === this.#most) {
      // A part of the story is worth nothing: the reader must begin again anyway.
      this.#count = 0;
      this.#overflowed = true;
    }
    let at = this.#head + this.#count;
    if (at >= this.#most) at -= this.#most;
    for (let w = 0; w < KEY_WORDS; w++) this.#keys[at * KEY_WORDS + w] = key[w]!;
    this.#owners[at] = owner;
    this.#count++;
  }
}
