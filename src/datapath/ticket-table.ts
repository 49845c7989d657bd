/**
 * Other nodes' flow tickets in the kernel. Writes are gathered and go down in batches, in order:
 * a system call per ticket costs several times the write itself.
 */
import { type FlowKey, KEY_WORDS } from '../proto/ticket-key.ts';
import { TICKET } from './layout.ts';
import { callBpf, E2BIG, ENOENT, ENOMEM } from './libbpf.ts';

/** How we know of an owner; comes back with the event of the flow's first relayed packet. */
export const SOURCES = ['directory', 'home', 'search'] as const;
export type TicketSource = (typeof SOURCES)[number];

const VALUE_WORDS = TICKET.bytes / 4;

export class TicketTable {
  readonly #fd: number;
  readonly #bootOf: (slot: number) => number;
  readonly #most: number;
  readonly #keys: Uint32Array;
  readonly #values: Uint32Array;
  readonly #count = new Uint32Array(1);
  #pending = 0;
  #deletes = false;
  #refused = 0;

  /** @param most Tickets that one batch holds. */
  constructor(fd: number, bootOf: (slot: number) => number, most = 4_096) {
    this.#fd = fd;
    this.#bootOf = bootOf;
    this.#most = most;
    this.#keys = new Uint32Array(most * KEY_WORDS);
    this.#values = new Uint32Array(most * VALUE_WORDS);
  }

  /** Writes that the kernel refused, such as for want of memory; repair brings them again. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Packets of this flow go to `owner`, under the boot that the node table has for it now.
   * In force after {@link flush}, or earlier.
   */
  learn(key: FlowKey, owner: number, source: TicketSource = 'directory'): void {
    this.#turn(false);
    const at = this.#pending++;
    this.#keys.set(key, at * KEY_WORDS);
    const value = at * VALUE_WORDS;
    this.#values[value] = owner | (SOURCES.indexOf(source) << 24);
    this.#values[value + 1] = this.#bootOf(owner);
    this.#values[value + 2] = 0;
    this.#values[value + 3] = 0xffff;
  }

  /** Nobody else is known to own this flow. In force after {@link flush}, or earlier. */
  forget(key: FlowKey): void {
    this.#turn(true);
    this.#keys.set(key, this.#pending++ * KEY_WORDS);
  }

  /** Hands everything gathered to the kernel. Call once per round of changes. */
  flush(): void {
    let from = 0;
    while (from < this.#pending) {
      this.#count[0] = this.#pending - from;
      const keys = this.#keys.subarray(from * KEY_WORDS);
      const result = this.#deletes
        ? callBpf('bpf_map_delete_batch', this.#fd, keys, this.#count, null)
        : callBpf(
            'bpf_map_update_batch',
            this.#fd,
            keys,
            this.#values.subarray(from * VALUE_WORDS),
            this.#count,
            null,
          );
      if (result >= 0) break;
      // The one after those that went well was refused: go on behind it.
      if (!(this.#deletes && result === -ENOENT)) this.#refused++;
      if (result !== -ENOENT && result !== -ENOMEM && result !== -E2BIG) break;
      from += this.#count[0]! + 1;
    }
    this.#pending = 0;
  }

  #turn(deletes: boolean): void {
    if (this.#pending > 0 && (this.#deletes !== deletes || this.#pending === this.#most)) {
      this.flush();
    }
    this.#deletes = deletes;
  }
}
