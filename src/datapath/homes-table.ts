/** The kernel's two tables of homes: one in force, one to write the next into. */
import type { ConfigRegister } from './config-register.ts';
import { DatapathError } from './datapath-error.ts';
import { BUCKETS, HOMES, HOMES_TABLE, NO_SLOT } from './layout.ts';
import { type Mapping, mapMemory } from './libbpf.ts';

export class KernelHomes {
  readonly #config: ConfigRegister;
  readonly #mapping: Mapping;
  readonly #tables: readonly [Uint16Array, Uint16Array];

  constructor(fd: number, config: ConfigRegister) {
    this.#config = config;
    this.#mapping = mapMemory(fd, HOMES_TABLE.bytes * 2);
    const words = BUCKETS * HOMES;
    this.#tables = [
      new Uint16Array(this.#mapping.buffer, 0, words),
      new Uint16Array(this.#mapping.buffer, HOMES_TABLE.bytes, words),
    ];
  }

  /** Nobody is home to anything: the state of new maps. */
  reset(): void {
    for (const table of this.#tables) table.fill(NO_SLOT);
  }

  /**
   * Puts a table in force for the next packet; 384 KiB are copied.
   * @param rows 65,536 rows of 3 numbers, best first, {@link NO_SLOT} for nobody.
   * @param slots The slot that each number stands for. Default: numbers are slots.
   */
  publish(rows: Uint16Array, slots?: Uint16Array): void {
    if (rows.length !== BUCKETS * HOMES) {
      throw new DatapathError(
        'ERR_DATAPATH_ARGUMENT',
        `a table of homes has ${BUCKETS} rows of ${HOMES}, not ${rows.length} slots`,
      );
    }
    const next = 1 - (this.#config.get('homes_table') & 1);
    const table = this.#tables[next as 0 | 1];
    if (slots === undefined) table.set(rows);
    else for (let i = 0; i < rows.length; i++) table[i] = slots[rows[i]!] ?? NO_SLOT;
    this.#config.set('homes_table', next);
  }

  /** The table in force. Do not change. */
  get rows(): Uint16Array {
    return this.#tables[(this.#config.get('homes_table') & 1) as 0 | 1];
  }

  close(): void {
    this.#mapping.unmap();
  }
}
