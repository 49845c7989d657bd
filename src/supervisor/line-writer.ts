/**
 * Log lines to a file, a pipe or a terminal: batched, bounded, never blocking and never fatal.
 *
 * Several processes write to the same place. Every write holds whole lines only, so that lines of
 * different processes never mix: files are opened with O_APPEND (one write, one place), and writes
 * to pipes stay within PIPE_BUF, which the kernel does not split (pipe(7)).
 */
import { closeSync, fstatSync, openSync, write, writeSync } from 'node:fs';

const PIPE_BUF = 4_096;
const FILE_WRITE_BYTES_MAX = 65_536;
/** A reader that has stopped gets this much kept for it; then lines are dropped and counted. */
const QUEUE_BYTES_MAX = 4_194_304;
/** A full non-blocking pipe is tried again after this. */
const RETRY_MS = 20;

export interface LineWriterOptions {
  /** How long a line may wait for others to share its write, milliseconds. Default 100; 0 writes at once. */
  readonly flushMs?: number;
  /** Bytes kept for a slow reader. Default 4 MiB. */
  readonly queueBytesMax?: number;
}

export class LineWriter {
  readonly #path: string | undefined;
  readonly #flushMs: number;
  readonly #queueBytesMax: number;
  #fd: number;
  #writeBytesMax: number;
  #queue: string[] = [];
  #queueBytes = 0;
  /** What is left of the batch being written. */
  #batch: Buffer | undefined;
  #timer: NodeJS.Timeout | undefined;
  #oldFd: number | undefined;
  #broken = false;
  #idle: (() => void)[] = [];
  /** Lines lost since the start, because the reader was too slow or is gone. */
  droppedLines = 0;

  /**
   * @param target A file descriptor, or a file to append to (created when missing).
   * Throws the system's error when the file cannot be opened.
   */
  constructor(target: number | string, options: LineWriterOptions = {}) {
    this.#flushMs = options.flushMs ?? 100;
    this.#queueBytesMax = options.queueBytesMax ?? QUEUE_BYTES_MAX;
    this.#path = typeof target === 'string' ? target : undefined;
    this.#fd = typeof target === 'string' ? openSync(target, 'a', 0o640) : target;
    this.#writeBytesMax = writeBytesMaxOf(this.#fd);
  }

  /** Takes one line with its line end. Never throws, never waits. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#broken || this.#queueBytes + bytes > this.#queueBytesMax) {
      this.droppedLines += 1;
      return;
    }
    this.#queue.push(line);
    this.#queueBytes += bytes;
    if (this.#batch !== undefined || this.#timer !== undefined) {
      if (this.#queueBytes < this.#writeBytesMax || this.#batch !== undefined) return;
    }
    if (this.#flushMs === 0 || this.#queueBytes >= this.#writeBytesMax) this.#next();
    else this.#timer = setTimeout(() => this.#next(), this.#flushMs);
  }

  /** Opens the file anew, after logrotate has moved it. Throws and goes on with the old one if it cannot. */
  reopen(): void {
    if (this.#path === undefined) return;
    const fd = openSync(this.#path, 'a', 0o640);
    const old = this.#fd;
    this.#fd = fd;
    this.#broken = false;
    this.#writeBytesMax = writeBytesMaxOf(fd);
    // A write under way still uses the old one; it is closed when that is done.
    if (this.#batch === undefined) closeSync(old);
    else this.#retireFd(old);
  }

  /** Resolves when everything taken so far is written or lost, and closes a file. Never rejects. */
  async close(): Promise<void> {
    await new Promise<void>((done) => {
      this.#idle.push(done);
      if (this.#batch === undefined) this.#next();
    });
    if (this.#path !== undefined) closeSync(this.#fd);
    this.#broken = true;
  }

  /** Writes what is left, for a process that is about to crash. Gives up on the first difficulty. */
  flushSync(): void {
    const rest = [
      ...(this.#batch === undefined ? [] : [this.#batch]),
      Buffer.from(this.#queue.join('')),
    ];
    this.#queue = [];
    this.#queueBytes = 0;
    try {
      for (const buffer of rest) if (buffer.length > 0) writeSync(this.#fd, buffer);
    } catch {
      this.#broken = true;
    }
  }

  #retireFd(fd: number): void {
    if (this.#oldFd !== undefined) closeSync(this.#oldFd);
    this.#oldFd = fd;
  }

  /** Starts the next write, or tells those who wait that there is none. */
  #next(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#queue.length === 0 || this.#broken) {
      this.#queue = [];
      this.#queueBytes = 0;
      for (const done of this.#idle.splice(0)) done();
      return;
    }
    this.#batch = this.#takeBatch();
    this.#writeBatch();
  }

  /** As many whole lines as fit into one write; a longer line goes alone. */
  #takeBatch(): Buffer {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length) {
      const line = Buffer.byteLength(this.#queue[count] ?? '');
      if (count > 0 && bytes + line > this.#writeBytesMax) break;
      bytes += line;
      count += 1;
    }
    this.#queueBytes -= bytes;
    return Buffer.from(this.#queue.splice(0, count).join(''));
  }

  #writeBatch(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    write(this.#oldFd ?? this.#fd, batch, 0, batch.length, null, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.#writeBatch(), RETRY_MS);
        return;
      }
      if (error === null && written < batch.length) {
        this.#batch = batch.subarray(written);
        this.#writeBatch();
        return;
      }
      if (error !== null) this.#failed(batch);
      this.#batch = undefined;
      if (this.#oldFd !== undefined) closeSync(this.#oldFd);
      this.#oldFd = undefined;
      // Below a whole write, wait for company, unless somebody waits for the end.
      if (this.#flushMs > 0 && this.#queueBytes < this.#writeBytesMax && this.#idle.length === 0) {
        if (this.#queue.length > 0) this.#timer = setTimeout(() => this.#next(), this.#flushMs);
        return;
      }
      this.#next();
    });
  }

  /** Nobody reads, or the disk is full: traffic goes on without the log. */
  #failed(batch: Buffer): void {
    this.droppedLines += batch.toString().split('\n').length - 1 + this.#queue.length;
    this.#queue = [];
    this.#queueBytes = 0;
    // A full disk may have room again for the next line; a reader that went away stays away.
    this.#broken = this.#path === undefined;
  }
}

function writeBytesMaxOf(fd: number): number {
  const stat = fstatSync(fd);
  return stat.isFIFO() || stat.isSocket() ? PIPE_BUF : FILE_WRITE_BYTES_MAX;
}
