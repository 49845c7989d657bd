/**
 * Decodes the chunked transfer coding (RFC 9112, 7.1) piece by piece. A core. Extensions and trailers
 * are read, checked and dropped; everything has a limit; line ends are CR LF and nothing else.
 *
 *   size [;extension] CRLF data CRLF … 0 CRLF [trailer CRLF …] CRLF
 */
import { isTextByte, isTokenByte } from './response-head.ts';

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const SEMICOLON = 0x3b;

/** Hex digits of a chunk's size, leading zeros included. */
const SIZE_DIGITS_MAX = 16;
/** Bytes of all extensions of a body together: a byte of data may not cost pages of them. */
export const EXTENSION_BYTES_MAX = 16_384;
/** Bytes of all trailers of a body together. */
export const TRAILER_BYTES_MAX = 16_384;

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILER = 6;
const TRAILER_NAME = 7;
const TRAILER_VALUE = 8;
const TRAILER_LF = 9;
const LAST_LF = 10;
const DONE = 11;

export class ChunkedDecoder {
  /** Where in the buffer the last `decode` left the data, all in one piece. */
  dataStart = 0;
  dataEnd = 0;
  /** What is wrong; empty when nothing is. */
  fault = '';
  #state = SIZE;
  #left = 0;
  #digits = 0;
  #extensionBytes = 0;
  #trailerBytes = 0;

  /** The end of the body was read. */
  get done(): boolean {
    return this.#state === DONE;
  }

  /** Makes it ready for another body. */
  reset(): void {
    this.fault = '';
    this.#state = SIZE;
    this.#left = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#trailerBytes = 0;
  }

  /**
   * Reads `buffer` from `start` to `end` and gives the position behind the last byte that belongs to
   * the body. Data of several chunks is moved together within the buffer: `dataStart` to `dataEnd`.
   * Data before a fault is given too. Must not be called again after a fault or the end.
   */
  decode(buffer: Buffer, start: number, end: number): number {
    this.dataStart = start;
    this.dataEnd = start;
    let at = start;
    while (at < end && this.#state !== DONE) {
      if (this.#state === DATA) {
        at = this.#takeData(buffer, at, end);
      } else {
        this.#step(buffer[at] as number);
        if (this.fault !== '') return at;
        at++;
      }
    }
    return at;
  }

  #takeData(buffer: Buffer, at: number, end: number): number {
    const bytes = Math.min(this.#left, end - at);
    if (this.dataEnd === this.dataStart) {
      this.dataStart = at;
      this.dataEnd = at + bytes;
    } else {
      buffer.copyWithin(this.dataEnd, at, at + bytes);
      this.dataEnd += bytes;
    }
    this.#left -= bytes;
    if (this.#left === 0) this.#state = DATA_CR;
    return at + bytes;
  }

  /** One byte that is not data. */
  #step(c: number): void {
    switch (this.#state) {
      case SIZE:
        return this.#stepSize(c);
      case EXTENSION:
        if (c === CR) this.#state = SIZE_LF;
        else if (!isTextByte(c)) this.fault = 'a control character in a chunk extension';
        else if (++this.#extensionBytes > EXTENSION_BYTES_MAX) {
          this.fault = `more than ${EXTENSION_BYTES_MAX} bytes of chunk extensions`;
        }
        return;
      case SIZE_LF:
        this.#expect(c, LF, this.#left === 0 ? TRAILER : DATA);
        this.#digits = 0;
        return;
      case DATA_CR:
        return this.#expect(c, CR, DATA_LF);
      case DATA_LF:
        return this.#expect(c, LF, SIZE);
      case LAST_LF:
        return this.#expect(c, LF, DONE);
      default:
        return this.#stepTrailer(c);
    }
  }

  #stepSize(c: number): void {
    const digit = hexValue(c);
    if (digit >= 0) {
      this.#digits += 1;
      this.#left = this.#left * 16 + digit;
      if (this.#digits > SIZE_DIGITS_MAX || this.#left > Number.MAX_SAFE_INTEGER) {
        this.fault = 'a chunk size too large';
      }
    } else if (this.#digits === 0) this.fault = 'a chunk without size';
    else if (c === CR) this.#state = SIZE_LF;
    else if (c === SEMICOLON) this.#state = EXTENSION;
    else this.fault = 'a bad chunk size';
  }

  #stepTrailer(c: number): void {
    if (++this.#trailerBytes > TRAILER_BYTES_MAX) {
      this.fault = `more than ${TRAILER_BYTES_MAX} bytes of trailers`;
      return;
    }
    switch (this.#state) {
      case TRAILER:
        if (c === CR) this.#state = LAST_LF;
        else if (isTokenByte(c)) this.#state = TRAILER_NAME;
        else this.fault = 'a malformed trailer';
        return;
      case TRAILER_NAME:
        if (c === COLON) this.#state = TRAILER_VALUE;
        else if (!isTokenByte(c)) this.fault = 'a malformed trailer';
        return;
      case TRAILER_VALUE:
        if (c === CR) this.#state = TRAILER_LF;
        else if (!isTextByte(c)) this.fault = 'a control character in a trailer';
        return;
      case TRAILER_LF:
        return this.#expect(c, LF, TRAILER);
    }
  }

  #expect(c: number, expected: number, next: number): void {
    if (c === expected) this.#state = next;
    else this.fault = 'a line of the chunked coding that does not end in CR LF';
  }
}

function hexValue(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30;
  const letter = c | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
