/**
 * Requests, tunnels, connections: whatever comes and goes without pause. A core. Not a `Set`: of one that is added to and deleted from without pause, V8
 * makes a new table again and again; each old one keeps what was in it, and the table after it, alive
 * until the next full collection. More than a quarter of all that requests allocate survived so.
 */

/** Anything that can be in one roster. */
export interface RosterEntry {
  /** Its place, or -1. Written by the roster alone. */
  place: number;
}

export class Roster<T extends RosterEntry> {
  readonly #entries: T[] = [];

  get size(): number {
    return this.#entries.length;
  }

  add(entry: T): void {
    if (entry.place !== -1) return;
    entry.place = this.#entries.length;
    this.#entries.push(entry);
  }

  /** The last one takes the place of the one that leaves. */
  delete(entry: T): void {
    const { place } = entry;
    if (place === -1) return;
    entry.place = -1;
    const last = this.#entries.pop() as T;
    if (last === entry) return;
    last.place = place;
    this.#entries[place] = last;
  }

  /** Whoever leaves meanwhile, also the one just given, disturbs nothing; who comes is not given. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i];
      if (entry !== undefined) yield entry;
    }
  }
}
