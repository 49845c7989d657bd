/**
 * Memory that connections read into. A core without IO.
 *
 * Small answers and idle connections share one buffer: what was read is used up before the next read.
 * A body that flows is read into a buffer of its own, which can be lent: it goes to the client as it
 * is, without a copy, and comes back when it was sent.
 */

export const READ_BYTES = 65_536;
/** A read that fills this much is followed by others. */
const FLOW_BYTES = READ_BYTES / 2;
/** Buffers that nobody uses are kept up to this number. */
const SPARE_MAX = 64;

const shared = Buffer.allocUnsafeSlow(READ_BYTES);
const spare: Buffer[] = [];

function take(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
}

function giveBack(buffer: Buffer): void {
  if (spare.length < SPARE_MAX) spare.push(buffer);
}

/** Whoever has bytes that another may want to keep. */
export interface Lender {
  /**
   * Leaves the bytes that were just read to the caller, who gives them back by calling what this
   * returns, once. `undefined`: they are overwritten by the next read and must be copied.
   */
  lend(): (() => void) | undefined;
}

/** What one connection reads into. */
export class ReadBuffer implements Lender {
  /** Undefined before the first read and while the last one is lent. */
  #current: Buffer | undefined;
  #flows = false;

  /** What the last read filled. */
  get current(): Buffer {
    return this.#current ?? shared;
  }

  /** Where the next read goes; `undefined` means: where the last one went. */
  next(): Buffer | undefined {
    if (this.#flows) {
      if (this.#current !== undefined && this.#current !== shared) return undefined;
      this.#current = take();
      return this.#current;
    }
    if (this.#current === shared) return undefined;
    this.close();
    this.#current = shared;
    return shared;
  }

  /**
   * Call after each read, before `next`.
   * @param isBusy more of the same answer is expected.
   */
  used(bytes: number, isBusy: boolean): void {
    this.#flows = isBusy && bytes >= FLOW_BYTES;
  }

  lend(): (() => void) | undefined {
    let lent = this.#current;
    if (lent === undefined || lent === shared) return undefined;
    this.#current = undefined;
    return () => {
      // A second call must not put it among the spare ones twice.
      if (lent !== undefined) giveBack(lent);
      lent = undefined;
    };
  }

  /** Nothing is read any more. */
  close(): void {
    const last = this.#current;
    this.#current = undefined;
    if (last !== undefined && last !== shared) giveBack(last);
  }
}

/** For bytes that are read into memory of their own each time. */
export const ownBytes: Lender = { lend: () => () => undefined };
