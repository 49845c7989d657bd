/** Reads bytes with the parser and writes down what it says. */
import { type ResponseEvents, ResponseParser } from '../../src/edge/response-parser.ts';

export interface Recorded {
  status: number;
  reason: string;
  headers: string[];
  bodyBytes: number;
  /** Latin-1. */
  body: string;
  /** `undefined` while the answer is not complete. */
  reusable: boolean | undefined;
  /** Bytes behind a 101, Latin-1. */
  early: string | undefined;
  /** `kind: text`. */
  fault: string | undefined;
  heads: number;
  /** The last piece of the body was announced as such. */
  lastSeen: boolean;
}

export interface Reading {
  isHead?: boolean;
  isUpgrade?: boolean;
  /** Lengths of the pieces; the rest comes in one. */
  pieces?: readonly number[];
  /** The origin closes behind the bytes. */
  closes?: boolean;
}

export class Recorder implements ResponseEvents {
  readonly record: Recorded = {
    status: 0,
    reason: '',
    headers: [],
    bodyBytes: 0,
    body: '',
    reusable: undefined,
    early: undefined,
    fault: undefined,
    heads: 0,
    lastSeen: false,
  };
  /** Events behind the one that must be the last. */
  late = 0;
  #isOver = false;

  onHead(status: number, reason: string, headers: string[], bodyBytes: number): void {
    this.#event(false);
    Object.assign(this.record, { status, reason, headers, bodyBytes });
    this.record.heads += 1;
  }

  onBody(buffer: Buffer, start: number, end: number, isLast: boolean): void {
    this.#event(false);
    if (this.record.lastSeen) this.late += 1;
    this.record.lastSeen = isLast;
    this.record.body += buffer.toString('latin1', start, end);
  }

  onEnd(reusable: boolean): void {
    this.#event(true);
    this.record.reusable = reusable;
  }

  onUpgrade(headers: string[], early: Buffer): void {
    this.#event(true);
    this.record.headers = headers;
    this.record.early = early.toString('latin1');
  }

  onFault(kind: string, fault: string): void {
    // Bytes behind an answer that was complete: the same as bytes behind it in its last piece.
    if (this.record.reusable && fault === 'bytes that belong to no answer') {
      this.record.reusable = false;
      return;
    }
    this.#event(true);
    this.record.fault = `${kind}: ${fault}`;
  }

  #event(isLast: boolean): void {
    if (this.#isOver) this.late += 1;
    this.#isOver = isLast;
  }
}

/** Reads one answer. */
export function readAnswer(bytes: string | Buffer, reading: Reading = {}): Recorded {
  const recorder = new Recorder();
  const parser = new ResponseParser(recorder);
  const whole = Buffer.from(bytes as string, 'latin1');
  parser.begin(reading.isHead ?? false, reading.isUpgrade ?? false);
  let at = 0;
  for (const length of [...(reading.pieces ?? []), whole.length]) {
    const piece = Buffer.from(whole.subarray(at, at + length));
    if (piece.length > 0) parser.feed(piece, 0, piece.length);
    at += piece.length;
  }
  if (reading.closes) parser.eof();
  if (recorder.late > 0) throw new Error('an event behind the last one');
  return recorder.record;
}
