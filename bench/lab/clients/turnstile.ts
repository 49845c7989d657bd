/** Lets a few through at a time: hundreds of handshakes at once would measure backlogs. Pure. */
export class Turnstile {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  /** @param most Inside at the same time. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Resolves when it is this one's turn, in the order of coming. Each must {@link leave}. */
  async enter(): Promise<void> {
    if (this.#inside < this.#most) {
      this.#inside += 1;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  leave(): void {
    const next = this.#waiting.shift();
    // The place goes over to the next one.
    if (next === undefined) this.#inside -= 1;
    else next();
  }
}
