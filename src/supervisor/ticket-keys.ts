/**
 * The keys that seal TLS session tickets of this node: its own until the mesh has told one, then the
 * mesh's. A core without IO.
 */

/** One more than the mesh has at a time: this node's own, or one that lost a split. */
const KEYS_MAX = 4;

export class NodeTicketKeys {
  #keys: readonly Uint8Array[];

  /** @param own 48 random bytes. */
  constructor(own: Uint8Array) {
    this.#keys = [own];
  }

  /** The first seals, tickets under any of them resume. */
  get all(): readonly Uint8Array[] {
    return this.#keys;
  }

  /**
   * Takes the mesh's keys over. Those of before go on resuming until newer ones need their place.
   * @param keys The first seals. Nothing changes without one.
   */
  replace(keys: readonly Uint8Array[]): void {
    if (keys.length === 0) return;
    const before = this.#keys.filter((old) => !keys.some((key) => isSame(key, old)));
    this.#keys = [...keys, ...before].slice(0, KEYS_MAX);
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
