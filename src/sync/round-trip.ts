/** Smoothed round trip and its variation of one peer (RFC 6298, section 2). */
export class RoundTrip {
  #smoothedMs: number | undefined;
  #variationMs = 0;
  #lossShare = 0;

  get smoothedMs(): number | undefined {
    return this.#smoothedMs;
  }

  /** Share of recent direct probes that were not answered in time, 0 to 1. */
  get lossShare(): number {
    return this.#lossShare;
  }

  /** @param sampleMs One answered probe; never of a repeated one (Karn). */
  sample(sampleMs: number): void {
    this.#lossShare *= 0.95;
    if (this.#smoothedMs === undefined) {
      this.#smoothedMs = sampleMs;
      this.#variationMs = sampleMs / 2;
      return;
    }
    this.#variationMs += (Math.abs(this.#smoothedMs - sampleMs) - this.#variationMs) / 4;
    this.#smoothedMs += (sampleMs - this.#smoothedMs) / 8;
  }

  lost(): void {
    this.#lossShare += (1 - this.#lossShare) * 0.05;
  }

  /** How long to wait for an answer, within the bounds; the longest before the first sample. */
  timeoutMs(minMs: number, maxMs: number): number {
    if (this.#smoothedMs === undefined) return maxMs;
    // 20 ms: what a busy but healthy process takes to get to its socket.
    const wanted = this.#smoothedMs + 4 * this.#variationMs + 20;
    return Math.min(maxMs, Math.max(minMs, wanted));
  }

  reset(): void {
    this.#smoothedMs = undefined;
    this.#variationMs = 0;
  }
}
