/**
 * The seam between an exchange at work and the connections to its origin: one attempt to get one
 * request answered by one origin.
 */
import type { Socket } from 'node:net';
import type { OriginConnection } from './origin-connection.ts';
import type { RequestBody } from './request-body.ts';

/**
 * What an attempt leads to: `originHead`, any number of `originBody`, `originEnd`; or
 * `originUpgrade`; or at any time before the end `originError`. Nothing comes before the call that
 * starts the attempt has returned, and nothing after an abort.
 */
export interface OriginHandler {
  /** @param bodyBytes -1 when the end of the body shows only when it comes. */
  originHead(status: number, reason: string, headers: string[], bodyBytes: number): void;
  /**
   * The bytes are valid during the call only: what is kept must be copied, or lent by the call.
   * @param isLast the body is complete; `originEnd` follows at once.
   */
  originBody(buffer: Buffer, start: number, end: number, isLast: boolean): void;
  originEnd(): void;
  /** The socket is paused and has no listeners; `early` was read from it behind the head. */
  originUpgrade(headers: string[], socket: Socket, early: Buffer): void;
  originError(error: Error): void;
}

/** RFC 9110, 9.2.2: a method that may be repeated without asking. */
const idempotent = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']);

export function isIdempotent(method: string): boolean {
  return idempotent.has(method);
}

export class OriginCall {
  readonly handler: OriginHandler;
  /** The request as it is written, body apart. */
  readonly head: string;
  readonly body: RequestBody | null;
  readonly isHead: boolean;
  readonly isUpgrade: boolean;
  /** A kept connection that turns out to be closed may be replaced by a new one without asking. */
  mayRepeat: boolean;
  /** The request has begun to be written. */
  sent = false;
  /** Reading the answer was stopped, because its reader is slow. */
  paused = false;
  /** What works on it; set by the connection itself. */
  connection: OriginConnection | undefined;

  constructor(facts: {
    handler: OriginHandler;
    method: string;
    head: string;
    body: RequestBody | null;
    isUpgrade: boolean;
  }) {
    this.handler = facts.handler;
    this.head = facts.head;
    this.body = facts.body;
    this.isHead = facts.method === 'HEAD';
    this.isUpgrade = facts.isUpgrade;
    this.mayRepeat = facts.body === null && idempotent.has(facts.method);
    this.connection = undefined;
  }

  /** Stops reading the answer. */
  pause(): void {
    if (this.paused || this.connection === undefined) return;
    this.paused = true;
    this.connection.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.connection?.resume();
  }

  /**
   * Within `originBody`: leaves the bytes to the handler, who calls what this returns when it needs
   * them no more. `undefined`: they must be copied.
   */
  lend(): (() => void) | undefined {
    return this.connection?.lend();
  }

  /** Ends the attempt and its connection; the handler is told nothing more. */
  abort(): void {
    const { connection } = this;
    this.connection = undefined;
    this.body?.stop();
    connection?.abandon();
  }
}
