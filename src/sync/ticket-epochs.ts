import type { EpochRecord } from '../proto/key-state.ts';

/** A TLS ticket key and when it serves. */
export interface Epoch {
  readonly number: number;
  readonly secret: Uint8Array;
  readonly madeAtMs: number;
  readonly activeAtMs: number;
}

/** The one in use, the one before, and one to come. */
const EPOCHS_KEPT = 3;

/**
 * TLS ticket keys, the same on every node. A new one is handed round some time before it comes into
 * use, so that all nodes change over together, each by its own countdown.
 */
export class TicketEpochs {
  #epochs: Epoch[] = [];

  get all(): readonly Epoch[] {
    return this.#epochs;
  }

  get newest(): Epoch | undefined {
    return this.#epochs.at(-1);
  }

  /** The newest whose countdown has ended. */
  current(nowMs: number): Epoch | undefined {
    return this.#epochs.findLast((epoch) => epoch.activeAtMs <= nowMs);
  }

  nextActivationMs(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { activeAtMs } of this.#epochs) {
      if (activeAtMs > nowMs) nextMs = Math.min(nextMs, activeAtMs);
    }
    return nextMs;
  }

  /**
   * Merges one epoch. Two keys with one number come from two halves of a split mesh: the one whose
   * bytes are greater stays, on every node.
   * @returns true when something changed.
   */
  merge(nowMs: number, record: EpochRecord): boolean {
    const known = this.#epochs.find((epoch) => epoch.number === record.number);
    if (known !== undefined && compareBytes(record.secret, known.secret) <= 0) return false;
    const oldest = this.#epochs[0];
    if (this.#epochs.length >= EPOCHS_KEPT && oldest !== undefined) {
      if (record.number < oldest.number) return false;
    }
    const epoch: Epoch = {
      number: record.number,
      secret: new Uint8Array(record.secret),
      madeAtMs: nowMs - record.ageMs,
      activeAtMs: nowMs + record.pendingMs,
    };
    this.#epochs = [...this.#epochs.filter((other) => other !== known), epoch]
      .sort((a, b) => a.number - b.number)
      .slice(-EPOCHS_KEPT);
    return true;
  }

  records(nowMs: number): EpochRecord[] {
    return this.#epochs.map(({ number, secret, madeAtMs, activeAtMs }) => ({
      number,
      secret,
      ageMs: Math.min(0xffff_ffff, Math.max(0, Math.round(nowMs - madeAtMs))),
      pendingMs: Math.min(0xffff_ffff, Math.max(0, Math.ceil(activeAtMs - nowMs))),
    }));
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}
