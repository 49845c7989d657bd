/** What happens next in a simulated world: a binary heap ordered by time, then by order of entry. */
export class Agenda<T> {
  readonly #times: number[] = [];
  readonly #orders: number[] = [];
  readonly #items: T[] = [];
  #order = 0;

  get size(): number {
    return this.#items.length;
  }

  get nextMs(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY;
  }

  add(atMs: number, item: T): void {
    const times = this.#times;
    const orders = this.#orders;
    const items = this.#items;
    const order = this.#order++;
    let hole = items.length;
    while (hole > 0) {
      const parent = (hole - 1) >>> 1;
      // A later entry never goes before an equal earlier one.
      if (times[parent]! <= atMs) break;
      times[hole] = times[parent]!;
      orders[hole] = orders[parent]!;
      items[hole] = items[parent]!;
      hole = parent;
    }
    times[hole] = atMs;
    orders[hole] = order;
    items[hole] = item;
  }

  take(): T {
    const times = this.#times;
    const orders = this.#orders;
    const items = this.#items;
    const first = items[0]!;
    const atMs = times.pop()!;
    const order = orders.pop()!;
    const item = items.pop()!;
    const size = items.length;
    if (size === 0) return first;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= size) break;
      const right = child + 1;
      if (right < size && before(times[right]!, orders[right]!, times[child]!, orders[child]!)) {
        child = right;
      }
      if (!before(times[child]!, orders[child]!, atMs, order)) break;
      times[hole] = times[child]!;
      orders[hole] = orders[child]!;
      items[hole] = items[child]!;
      hole = child;
    }
    times[hole] = atMs;
    orders[hole] = order;
    items[hole] = item;
    return first;
  }
}

function before(aMs: number, aOrder: number, bMs: number, bOrder: number): boolean {
  return aMs < bMs || (aMs === bMs && aOrder < bOrder);
}
