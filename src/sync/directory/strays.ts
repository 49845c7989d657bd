/** Tickets of buckets that other nodes keep now: they stay while the previous table is still asked. */
import type { PeerIndex } from '../core.ts';
import type { Homes } from '../homes.ts';
import type { TicketStore } from '../ticket-store.ts';

const TICK_MS = 5;
/** Looking at a ticket costs a fraction of removing one. */
const LOOKS_PER_REMOVAL = 4;

export class Strays {
  readonly #store: TicketStore;
  readonly #homes: Homes;
  readonly #self: PeerIndex;
  readonly #owners = new Set<PeerIndex>();
  #pending = false;
  /** Next ticket to look at; -1 when not looking. */
  #cursor = -1;
  #removed = 0;

  constructor(store: TicketStore, homes: Homes, self: PeerIndex) {
    this.#store = store;
    this.#homes = homes;
    this.#self = self;
  }

  /** There may be some, on purpose. */
  get allowed(): boolean {
    return this.#pending || this.#cursor >= 0;
  }

  /** They are being removed. */
  get sweeping(): boolean {
    return this.#cursor >= 0;
  }

  get removed(): number {
    return this.#removed;
  }

  tableChanged(): void {
    this.#pending = true;
    this.#cursor = -1;
  }

  /**
   * Begins to look for them once the tables have settled.
   * @returns when to call again; `undefined` when nothing waits for that.
   */
  start(nowMs: number): number | undefined {
    if (!this.#pending) return undefined;
    if (this.#homes.unsettled) {
      return Math.max(this.#homes.nextWakeupMs() ?? nowMs, nowMs + TICK_MS);
    }
    this.#pending = false;
    this.#cursor = 0;
    return undefined;
  }

  /**
   * Looks at some tickets.
   * @param most Tickets to remove in this call.
   * @returns at the end whose tickets went; `undefined` before and after.
   */
  sweep(most: number): PeerIndex[] | undefined {
    const store = this.#store;
    for (let looks = most * LOOKS_PER_REMOVAL; this.#cursor >= 0 && looks > 0; looks--) {
      if (this.#cursor >= store.top) {
        this.#cursor = -1;
        const owners = [...this.#owners];
        this.#owners.clear();
        return owners;
      }
      const ticket = this.#cursor++;
      if (!store.isForeign(ticket)) continue;
      if (this.#homes.isHome(this.#self, store.bucketOf(ticket))) continue;
      this.#owners.add(store.tenureOfTicket(ticket).peer);
      store.remove(ticket);
      this.#removed++;
    }
    return undefined;
  }
}
