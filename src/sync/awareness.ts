/**
 * Local health (Lifeguard, Dadgar et al. 2017): how much this node should doubt itself. Rises when
 * its own probes fail without explanation or others had to be refuted, falls with each success.
 */
export class Awareness {
  readonly #max: number;
  #score = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** 0 is healthy. Time-outs and intervals are multiplied by `score + 1`. */
  get score(): number {
    return this.#score;
  }

  add(delta: number): void {
    this.#score = Math.min(this.#max, Math.max(0, this.#score + delta));
  }

  scale(durationMs: number): number {
    return durationMs * (this.#score + 1);
  }
}
