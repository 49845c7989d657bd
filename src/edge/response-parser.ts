/**
 * Reads the answers of one connection, one request at a time: bytes in, events out. A core, strict by
 * the rules in `response-head.ts` and `chunked.ts`; how long a body is follows RFC 9112, 6.3.
 */
import { ChunkedDecoder } from './chunked.ts';
import { FAULTY, INCOMPLETE, ResponseHead } from './response-head.ts';

/** Bytes of one head, line ends included. */
export const HEAD_BYTES_MAX = 65_536;
/** Interim answers (1xx) before the final one. */
export const INTERIM_MAX = 16;
/** Most heads are shorter, and what else is in the buffer need not become text. */
const FIRST_LOOK_BYTES = 2_048;

/** 'closed': the origin ended the connection. 'protocol': it sent something else than HTTP/1.1. */
export type FaultKind = 'closed' | 'protocol';

export interface ResponseEvents {
  /** @param bodyBytes Length of the body; -1 when its end shows only when it comes. */
  onHead(status: number, reason: string, headers: string[], bodyBytes: number): void;
  /**
   * A piece of the body. The bytes are valid during the call only.
   * @param isLast nothing follows but `onEnd`.
   */
  onBody(buffer: Buffer, start: number, end: number, isLast: boolean): void;
  /**
   * The answer is complete.
   * @param reusable the connection may carry another request.
   */
  onEnd(reusable: boolean): void;
  /** The origin switched protocols; the bytes behind the head are no longer HTTP. Ends the parser. */
  onUpgrade(headers: string[], early: Buffer): void;
  /** Nothing follows: the connection cannot be used. */
  onFault(kind: FaultKind, fault: string): void;
}

const IDLE = 0;
const HEAD = 1;
const LENGTH = 2;
const CHUNKED = 3;
const UNTIL_CLOSE = 4;
const OVER = 5;

/** An event handler that throws leaves the parser in use; stop it then. */
export class ResponseParser {
  readonly #events: ResponseEvents;
  readonly #head = new ResponseHead();
  readonly #chunks = new ChunkedDecoder();
  #state = IDLE;
  #isHead = false;
  #upgradeAsked = false;
  #interims = 0;
  #left = 0;
  /** The beginning of a head whose end has not come. */
  #held: Buffer | undefined;
  #heldBytes = 0;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  /** Seconds for which the origin says it keeps the connection; -1 when it does not say. */
  get keepAliveS(): number {
    return this.#head.keepAliveS;
  }

  /** A request was sent: the next bytes are its answer. */
  begin(isHead: boolean, upgradeAsked: boolean): void {
    this.#state = HEAD;
    this.#isHead = isHead;
    this.#upgradeAsked = upgradeAsked;
    this.#interims = 0;
  }

  /** No further event, whatever comes. */
  stop(): void {
    this.#state = OVER;
    this.#held = undefined;
  }

  /** Bytes of a chunked body may be moved within the buffer. */
  feed(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (this.#state === HEAD) {
      if (at === end) return;
      at =
        this.#held === undefined ? this.#readHead(buffer, at, end) : this.#readOn(buffer, at, end);
    }
    switch (this.#state) {
      case LENGTH:
        return this.#feedLength(buffer, at, end);
      case CHUNKED:
        return this.#feedChunked(buffer, at, end);
      case UNTIL_CLOSE:
        if (at < end) this.#events.onBody(buffer, at, end, false);
        return;
      case IDLE:
        if (at < end) this.#fault('protocol', 'bytes that belong to no answer');
    }
  }

  /** The origin sends nothing more. */
  eof(): void {
    switch (this.#state) {
      case UNTIL_CLOSE:
        return this.#end(false);
      case HEAD:
        if (this.#held === undefined) return this.#fault('closed', 'closed without an answer');
        if (this.#head.read(this.#held.toString('latin1', 0, this.#heldBytes)) === FAULTY) {
          return this.#fault('protocol', this.#head.fault);
        }
        return this.#fault('closed', 'closed within the head of an answer');
      case LENGTH:
      case CHUNKED:
        return this.#fault('closed', 'closed within the body of an answer');
      case IDLE:
        this.#state = OVER;
    }
  }

  /** A head from its first byte on. Gives the position behind it, or `end` when it was held. */
  #readHead(buffer: Buffer, start: number, end: number): number {
    const head = this.#head;
    let bytes = Math.min(end - start, FIRST_LOOK_BYTES);
    let length = head.read(buffer.toString('latin1', start, start + bytes));
    if (length === INCOMPLETE && bytes < end - start) {
      bytes = Math.min(end - start, HEAD_BYTES_MAX);
      length = head.read(buffer.toString('latin1', start, start + bytes));
    }
    if (length === INCOMPLETE) {
      this.#held = Buffer.allocUnsafe(Math.max(1_024, bytes));
      this.#heldBytes = buffer.copy(this.#held, 0, start, start + bytes);
      if (bytes === HEAD_BYTES_MAX) this.#headTooLarge();
      return start + bytes;
    }
    if (length === FAULTY) {
      this.#fault('protocol', head.fault);
      return end;
    }
    this.#headRead(buffer, start + length, end);
    return start + length;
  }

  /** A head whose beginning is held. It is read again only when a line was completed. */
  #readOn(buffer: Buffer, start: number, end: number): number {
    const before = this.#heldBytes;
    const bytes = Math.min(end - start, HEAD_BYTES_MAX - before);
    const held = this.#holdMore(buffer, start, start + bytes);
    const lineEnd = held.indexOf(0x0a, before);
    if (lineEnd !== -1 && lineEnd < this.#heldBytes) {
      const head = this.#head;
      const length = head.read(held.toString('latin1', 0, this.#heldBytes));
      if (length === FAULTY) {
        this.#fault('protocol', head.fault);
        return end;
      }
      if (length !== INCOMPLETE) {
        this.#held = undefined;
        const at = start + length - before;
        this.#headRead(buffer, at, end);
        return at;
      }
    }
    if (this.#heldBytes === HEAD_BYTES_MAX) this.#headTooLarge();
    return start + bytes;
  }

  #holdMore(buffer: Buffer, start: number, end: number): Buffer {
    let held = this.#held as Buffer;
    const needed = this.#heldBytes + end - start;
    if (needed > held.length) {
      const larger = Buffer.allocUnsafe(
        Math.min(HEAD_BYTES_MAX, Math.max(needed, held.length * 2)),
      );
      held.copy(larger, 0, 0, this.#heldBytes);
      held = larger;
      this.#held = held;
    }
    buffer.copy(held, this.#heldBytes, start, end);
    this.#heldBytes = needed;
    return held;
  }

  /** Decides what follows a head that ends at `at`. */
  #headRead(buffer: Buffer, at: number, end: number): void {
    const { status, headers, contentLength } = this.#head;
    if (status === 101) return this.#switch(buffer, at, end);
    if (status < 200) {
      this.#interims += 1;
      if (this.#interims > INTERIM_MAX) {
        this.#fault('protocol', `more than ${INTERIM_MAX} interim answers`);
      }
      return;
    }
    let bodyBytes = contentLength;
    if (this.#isHead || status === 204 || status === 304) {
      bodyBytes = 0;
      this.#setLength(0);
      // RFC 9110, 8.6: a 204 must not carry one, and the next reader might believe it.
      if (status === 204) dropContentLength(headers);
    } else if (this.#head.isChunked) {
      this.#chunks.reset();
      this.#state = CHUNKED;
    } else if (contentLength >= 0) {
      this.#setLength(contentLength);
    } else {
      this.#state = UNTIL_CLOSE;
    }
    this.#events.onHead(status, this.#head.reason, headers, bodyBytes);
  }

  #setLength(bytes: number): void {
    this.#left = bytes;
    this.#state = LENGTH;
  }

  #switch(buffer: Buffer, at: number, end: number): void {
    if (!this.#upgradeAsked) return this.#fault('protocol', 'a switch that nobody asked for');
    if (this.#head.upgrade !== 'websocket') {
      return this.#fault('protocol', 'a switch to something else than websocket');
    }
    this.#state = OVER;
    this.#events.onUpgrade(this.#head.headers, Buffer.from(buffer.subarray(at, end)));
  }

  #feedLength(buffer: Buffer, at: number, end: number): void {
    const bytes = Math.min(this.#left, end - at);
    this.#left -= bytes;
    const isLast = this.#left === 0;
    if (bytes > 0) {
      this.#events.onBody(buffer, at, at + bytes, isLast);
      if (this.#state === OVER) return;
    }
    // Bytes behind the end answer nothing that was asked: they would answer the next client.
    if (isLast) this.#end(this.#head.keepsAlive && at + bytes === end);
  }

  #feedChunked(buffer: Buffer, at: number, end: number): void {
    const chunks = this.#chunks;
    const stop = chunks.decode(buffer, at, end);
    if (chunks.dataEnd > chunks.dataStart) {
      this.#events.onBody(buffer, chunks.dataStart, chunks.dataEnd, chunks.done);
      if (this.#state === OVER) return;
    }
    if (chunks.fault !== '') this.#fault('protocol', chunks.fault);
    else if (chunks.done) this.#end(this.#head.keepsAlive && stop === end);
  }

  /** The last thing done with the bytes of this answer: the next request may begin within `onEnd`. */
  #end(reusable: boolean): void {
    this.#state = reusable ? IDLE : OVER;
    this.#events.onEnd(reusable);
  }

  #headTooLarge(): void {
    this.#fault('protocol', `a head of more than ${HEAD_BYTES_MAX} bytes`);
  }

  #fault(kind: FaultKind, fault: string): void {
    this.stop();
    this.#events.onFault(kind, fault);
  }
}

function dropContentLength(headers: string[]): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (headers[i]?.toLowerCase() === 'content-length') headers.splice(i, 2);
  }
}
