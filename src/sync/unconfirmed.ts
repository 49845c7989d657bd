import type { Session } from './link.ts';

/**
 * Sessions whose callers have not proved yet that their hello was no replay, oldest first. Hundreds
 * when a large mesh starts, so a caller's own are found by its name.
 */
export class Unconfirmed {
  readonly #all = new Set<Session>();
  readonly #byId = new Map<string, Session[]>();

  get size(): number {
    return this.#all.size;
  }

  [Symbol.iterator](): Iterator<Session> {
    return this.#all.values();
  }

  /** Those of one node. */
  of(id: string): readonly Session[] {
    return this.#byId.get(id) ?? [];
  }

  add(session: Session): void {
    this.#all.add(session);
    const { id } = session.remote;
    const others = this.#byId.get(id);
    if (others === undefined) this.#byId.set(id, [session]);
    else others.push(session);
  }

  delete(session: Session): void {
    if (!this.#all.delete(session)) return;
    const { id } = session.remote;
    const left = this.of(id).filter((other) => other !== session);
    if (left.length === 0) this.#byId.delete(id);
    else this.#byId.set(id, left);
  }

  /** Of one node, or of all. */
  oldest(id?: string): Session | undefined {
    return id === undefined ? this.#all.values().next().value : this.of(id)[0];
  }
}
