/** The body of a request on its way to an origin: counted, limited, and apart from the client's socket. */
import type { IncomingMessage } from 'node:http';
import type { Exchange } from './exchange.ts';

/** The body is longer than the route allows. */
export class BodyTooLarge extends Error {
  readonly code = 'ERR_BODY_SIZE';
}

/** Where a body goes. */
export interface BodySink {
  /** False: wait for `resume`. */
  takeBody(chunk: Buffer): boolean;
  bodyEnded(): void;
  /** The body is not sent to its end. */
  bodyFailed(error: Error): void;
}

/**
 * Nothing is read from the client before `flowTo`: until then another origin may be tried. When the
 * client goes away nothing is said here; whoever follows the exchange is told.
 */
export class RequestBody {
  /** Its length is not known beforehand. */
  readonly isChunked: boolean;
  readonly #exchange: Exchange;
  readonly #request: IncomingMessage;
  readonly #maxBytes: number;
  #sink: BodySink | undefined;
  #bytes = 0;
  #consumed = false;
  #complete = false;

  /** @param maxBytes Longest body; 0 means no limit. */
  constructor(exchange: Exchange, maxBytes: number) {
    this.#exchange = exchange;
    this.#request = exchange.request;
    this.#maxBytes = maxBytes;
    this.isChunked = exchange.headers['transfer-encoding'] !== undefined;
  }

  /** Bytes read from the client. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True once anything was asked from the client: the body cannot be sent a second time. */
  get consumed(): boolean {
    return this.#consumed;
  }

  /** All of it was given to the sink. */
  get complete(): boolean {
    return this.#complete;
  }

  flowTo(sink: BodySink): void {
    this.#consumed = true;
    this.#sink = sink;
    this.#exchange.continueBody();
    this.#request.on('data', this.#onData);
    this.#request.on('end', this.#onEnd);
    this.#request.resume();
  }

  pause(): void {
    if (this.#sink !== undefined) this.#request.pause();
  }

  resume(): void {
    if (this.#sink !== undefined) this.#request.resume();
  }

  /** Nobody wants the rest, which unread would keep the connection from ending. */
  stop(): void {
    if (this.#sink === undefined) return;
    this.#sink = undefined;
    this.#request.off('data', this.#onData);
    this.#request.off('end', this.#onEnd);
    this.#request.resume();
  }

  #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#maxBytes > 0 && this.#bytes > this.#maxBytes) {
      this.#sink?.bodyFailed(new BodyTooLarge(`more than ${this.#maxBytes} bytes`));
    } else if (this.#sink?.takeBody(chunk) === false) {
      this.#request.pause();
    }
  };

  #onEnd = (): void => {
    this.#complete = true;
    this.#sink?.bodyEnded();
  };
}
