/** Tickets of other owners, from the mesh's directory into the kernel, in batches. */
import { type FlowKey, KEY_WORDS } from '../proto/ticket-key.ts';
import type { PeerIndex } from '../sync/core.ts';
import { type ChangeReader, TicketChanges } from '../sync/ticket-changes.ts';
import type { TicketStore } from '../sync/ticket-store.ts';

/** Changes carried over before other work gets its turn: about 10 ms. */
const SLICE = 8_192;

/** Says so when it gets something to read. */
class WakingChanges extends TicketChanges {
  readonly #wake: () => void;

  constructor(wake: () => void) {
    super();
    this.#wake = wake;
  }

  override learned(key: FlowKey, owner: PeerIndex): void {
    super.learned(key, owner);
    this.#wake();
  }

  override voided(key: FlowKey): void {
    super.voided(key);
    this.#wake();
  }
}

export class KernelFill {
  readonly changes: TicketChanges = new WakingChanges(() => this.wake());
  readonly #tickets: { flush(): void };
  #store: TicketStore | undefined;
  #reader: ChangeReader | undefined;
  #awake = false;
  #stopped = false;
  /** Place in the store while it is read as a whole; -1 when it is not. */
  #refillAt = -1;
  #refills = 0;

  constructor(tickets: { flush(): void }) {
    this.#tickets = tickets;
  }

  /** How often the directory was faster than the kernel could be filled. */
  get refills(): number {
    return this.#refills;
  }

  start(store: TicketStore, reader: ChangeReader): void {
    this.#store = store;
    this.#reader = reader;
    this.wake();
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Something waits: everything of one turn of the event loop goes down together. */
  wake(): void {
    if (this.#awake || this.#stopped || this.#reader === undefined) return;
    this.#awake = true;
    setImmediate(() => this.#round());
  }

  #round(): void {
    const reader = this.#reader;
    if (this.#stopped || reader === undefined) return;
    if (this.changes.takeOverflow()) {
      this.#refillAt = 0;
      this.#refills++;
    }
    const read = this.changes.drain(reader, SLICE);
    if (this.#refillAt >= 0) this.#refill(reader, SLICE - read);
    this.#tickets.flush();
    this.#awake = false;
    if (this.changes.pending > 0 || this.#refillAt >= 0) this.wake();
  }

  #refill(reader: ChangeReader, most: number): void {
    const store = this.#store!;
    const key = new Uint32Array(KEY_WORDS);
    const end = Math.min(store.top, this.#refillAt + most);
    for (let ticket = this.#refillAt; ticket < end; ticket++) {
      if (!store.isForeign(ticket)) continue;
      store.readKey(ticket, key);
      reader.learned(key, store.tenureOfTicket(ticket).peer);
    }
    this.#refillAt = end === store.top ? -1 : end;
  }
}
