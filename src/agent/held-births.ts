/**
 * Flows just born, held back for a moment: most connections of a busy web server are over before a
 * ticket could be of use to anybody, and one that no home was told of needs no end either. A core.
 */
import { type FlowKey, KEY_WORDS } from '../proto/ticket-key.ts';

/** A power of two, above the events of a round. */
const PLACES = 8_192;
const MASK = PLACES - 1;

const FREE = 0;
const HALF_OPEN = 1;
const WHOLE = 2;

/** Takes births that are held no longer. The key is valid during the call only. */
export type BirthTaker = (key: FlowKey, bucket: number, generation: number, whole: boolean) => void;

export class HeldBirths {
  /** Generations follow one another, so their last bits are the place. */
  readonly #state = new Uint8Array(PLACES);
  readonly #generation = new Uint32Array(PLACES);
  readonly #bucket = new Uint16Array(PLACES);
  readonly #keys: readonly FlowKey[];
  /** Generations in the order of their births, those that ended meanwhile among them. */
  readonly #order = new Uint32Array(PLACES);
  #first = 0;
  #next = 0;
  /** Births before this one were there when {@link release} was called last. */
  #seen = 0;
  readonly #take: BirthTaker;

  constructor(take: BirthTaker) {
    this.#take = take;
    const words = new Uint32Array(PLACES * KEY_WORDS);
    this.#keys = Array.from({ length: PLACES }, (_, place) =>
      words.subarray(place * KEY_WORDS, (place + 1) * KEY_WORDS),
    );
  }

  /** Something waits for {@link release}. */
  get any(): boolean {
    return this.#first !== this.#next;
  }

  /** Copies `key`. Without room the birth is taken at once. */
  hold(key: FlowKey, bucket: number, generation: number, whole: boolean): void {
    const place = generation & MASK;
    if (this.#state[place] !== FREE || this.#next - this.#first >= PLACES) {
      this.#take(key, bucket, generation, whole);
      return;
    }
    this.#state[place] = whole ? WHOLE : HALF_OPEN;
    this.#generation[place] = generation;
    this.#bucket[place] = bucket;
    const copy = this.#keys[place]!;
    for (let i = 0; i < KEY_WORDS; i++) copy[i] = key[i]!;
    this.#order[this.#next++ & MASK] = generation;
  }

  /** Its handshake was completed. False when it is not held. */
  complete(generation: number): boolean {
    if (!this.#holds(generation)) return false;
    this.#state[generation & MASK] = WHOLE;
    return true;
  }

  /** It has ended, and nobody needs to know that it ever was. False when it is not held. */
  cancel(generation: number): boolean {
    if (!this.#holds(generation)) return false;
    this.#state[generation & MASK] = FREE;
    return true;
  }

  /** Hands on what was held since before the last call, or everything; oldest first. */
  release(everything: boolean): void {
    const end = everything ? this.#next : this.#seen;
    while (this.#first < end) {
      const generation = this.#order[this.#first++ & MASK]!;
      if (!this.#holds(generation)) continue;
      const place = generation & MASK;
      const whole = this.#state[place] === WHOLE;
      this.#state[place] = FREE;
      this.#take(this.#keys[place]!, this.#bucket[place]!, generation, whole);
    }
    this.#seen = this.#next;
  }

  #holds(generation: number): boolean {
    const place = generation & MASK;
    return this.#state[place] !== FREE && this.#generation[place] === generation;
  }
}
