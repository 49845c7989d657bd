/** A bounded queue, first in first out, whose entries give up at a deadline. A core. */

/** A place in a {@link WaitQueue}, to leave it early. */
export interface WaitHandle<T = unknown> {
  readonly item: T;
  readonly deadlineMs: number;
}

class Entry<T> implements WaitHandle<T> {
  readonly item: T;
  readonly deadlineMs: number;
  before: Entry<T> | undefined;
  after: Entry<T> | undefined;
  owner: WaitQueue<T> | undefined;

  constructor(item: T, deadlineMs: number, owner: WaitQueue<T>) {
    this.item = item;
    this.deadlineMs = deadlineMs;
    this.owner = owner;
  }
}

export class WaitQueue<T> {
  readonly #limit: number;
  #first: Entry<T> | undefined;
  #last: Entry<T> | undefined;
  #size = 0;
  /** No entry has an earlier deadline than one before it. The rule, as waits are equally long. */
  #inOrder = true;

  /** @param limit Most entries. 0 makes a queue that is always full. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#size;
  }

  /** Joins at the end. `undefined` when the queue is full. */
  push(item: T, deadlineMs: number): WaitHandle<T> | undefined {
    if (this.#size >= this.#limit) return undefined;
    const entry = new Entry(item, deadlineMs, this);
    entry.before = this.#last;
    if (this.#last === undefined) {
      this.#first = entry;
      this.#inOrder = true;
    } else {
      this.#last.after = entry;
      if (deadlineMs < this.#last.deadlineMs) this.#inOrder = false;
    }
    this.#last = entry;
    this.#size += 1;
    return entry;
  }

  /** The one that has waited longest; it stays. `undefined` when nobody waits. */
  peek(): T | undefined {
    return this.#first?.item;
  }

  /** Takes the one that has waited longest. `undefined` when nobody waits. */
  shift(): T | undefined {
    const entry = this.#first;
    if (entry === undefined) return undefined;
    this.#unlink(entry);
    return entry.item;
  }

  /** Leaves early, in constant time. False when it had left already. */
  remove(handle: WaitHandle): boolean {
    if (!(handle instanceof Entry) || handle.owner !== this) return false;
    this.#unlink(handle);
    return true;
  }

  /** Takes all whose deadline is now or past, longest waiting first. */
  expire(nowMs: number): T[] {
    const expired: T[] = [];
    let entry = this.#first;
    while (entry !== undefined) {
      const after = entry.after;
      if (entry.deadlineMs <= nowMs) {
        this.#unlink(entry);
        expired.push(entry.item);
      } else if (this.#inOrder) {
        break;
      }
      entry = after;
    }
    return expired;
  }

  /** When `expire` is next worth calling; `undefined` when nobody waits. */
  nextDeadlineMs(): number | undefined {
    if (this.#first === undefined || this.#inOrder) return this.#first?.deadlineMs;
    let earliest = Number.POSITIVE_INFINITY;
    for (let entry: Entry<T> | undefined = this.#first; entry !== undefined; entry = entry.after) {
      earliest = Math.min(earliest, entry.deadlineMs);
    }
    return earliest;
  }

  #unlink(entry: Entry<T>): void {
    if (entry.before === undefined) this.#first = entry.after;
    else entry.before.after = entry.after;
    if (entry.after === undefined) this.#last = entry.before;
    else entry.after.before = entry.before;
    entry.before = undefined;
    entry.after = undefined;
    entry.owner = undefined;
    this.#size -= 1;
  }
}
