/** When a new table of homes goes to the kernel. A core. */
import { NO_SLOT, type NodeSlots } from './node-slots.ts';

/** What is read of the mesh's table. */
export interface HomesSource {
  readonly rows: Uint16Array;
}

/** The kernel's table. */
export interface HomesWriter {
  publish(rows: Uint16Array, slots: Uint16Array): void;
}

/**
 * A restarted agent first knows nobody but itself, while the kernel still has its predecessor's
 * table: that one stays in force until the members are back, or this time is over.
 */
const HOLD_MS = 10_000;

export class HomesFeed {
  readonly #source: HomesSource;
  readonly #writer: HomesWriter;
  readonly #slots: NodeSlots;
  #holdUntilMs: number;
  #rows: Uint16Array | undefined;
  #changes = -1;
  #published = 0;
  #named = 0;

  /** @param inherited Whether the kernel has a predecessor's table. */
  constructor(
    nowMs: number,
    source: HomesSource,
    writer: HomesWriter,
    slots: NodeSlots,
    inherited: boolean,
  ) {
    this.#source = source;
    this.#writer = writer;
    this.#slots = slots;
    this.#holdUntilMs = inherited ? nowMs + HOLD_MS : nowMs;
  }

  /** Tables handed to the kernel. */
  get published(): number {
    return this.#published;
  }

  /** Nodes that the published table names. */
  get named(): number {
    return this.#named;
  }

  /** Call whenever something may have changed; costs nothing when nothing has. */
  tick(nowMs: number): void {
    const { rows } = this.#source;
    const { changes } = this.#slots;
    if (rows === this.#rows && changes === this.#changes) return;
    if (nowMs < this.#holdUntilMs) {
      if (this.#slots.unclaimed > 0 || !this.#complete(rows)) return;
      this.#holdUntilMs = nowMs;
    }
    this.#rows = rows;
    this.#changes = changes;
    this.#published++;
    this.#writer.publish(rows, this.#slots.slots);
    this.#named = new Set(rows).size - (rows.includes(NO_SLOT) ? 1 : 0);
  }

  /** Infinity when nothing waits. */
  nextWakeupMs(nowMs: number): number {
    return nowMs < this.#holdUntilMs ? this.#holdUntilMs : Number.POSITIVE_INFINITY;
  }

  /** Whether the table was built after the members came: its first row names somebody else. */
  #complete(rows: Uint16Array): boolean {
    let named = 0;
    for (let i = 0; i < 3; i++) if (this.#slots.slotOf(rows[i] ?? NO_SLOT) !== NO_SLOT) named++;
    return named >= 2;
  }
}
