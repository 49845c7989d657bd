/** What all sessions together carry, over time. Pure. */

/** Index `i` is the bucket that begins at `i × bucketMs`, counted from the moment when all clients ran. */
export interface Throughput {
  readonly bucketMs: number;
  /** Bytes of bodies of downloads and uploads that arrived, as a rate: bytes per second. */
  readonly bytesPerS: readonly number[];
  /** Echoes, events, answers and short connections that arrived intact, per second. */
  readonly messagesPerS: readonly number[];
}

const BUCKET_MS = 100;
/** Progress that is told after a longer silence is not spread over all of it. */
const SPREAD_MS_MAX = 1_500;
/** Two hours of buckets. */
const BUCKETS_MAX = 72_000;

/** Counts by time on the clients' clock. */
export class Activity {
  readonly #bytes = new Map<number, number>();
  readonly #messages = new Map<number, number>();

  /** `amount` came between two reports: it is spread evenly over the time between them. */
  carried(what: 'bytes' | 'messages', fromMs: number, toMs: number, amount: number): void {
    if (amount <= 0) return;
    const counts = what === 'bytes' ? this.#bytes : this.#messages;
    const first = Math.floor(Math.max(fromMs, toMs - SPREAD_MS_MAX) / BUCKET_MS);
    const last = Math.max(first, Math.floor(toMs / BUCKET_MS));
    const each = amount / (last - first + 1);
    for (let bucket = first; bucket <= last; bucket += 1) {
      counts.set(bucket, (counts.get(bucket) ?? 0) + each);
    }
  }

  /** @param beganAtMs Zero of the result, on the clients' clock. */
  throughput(beganAtMs: number, durationMs: number): Throughput {
    const first = Math.round(beganAtMs / BUCKET_MS);
    const length = Math.min(BUCKETS_MAX, Math.ceil(durationMs / BUCKET_MS));
    const rates = (counts: ReadonlyMap<number, number>) =>
      Array.from({ length }, (_, index) =>
        Math.round(((counts.get(first + index) ?? 0) * 1_000) / BUCKET_MS),
      );
    return {
      bucketMs: BUCKET_MS,
      bytesPerS: rates(this.#bytes),
      messagesPerS: rates(this.#messages),
    };
  }
}
