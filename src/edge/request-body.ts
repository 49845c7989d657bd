/** The body of a request on its way to an origin: counted, limited, and apart from the client's socket. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { Exchange } from './exchange.ts';

/** The body is longer than the route allows. */
export class BodyTooLarge extends Error {
  readonly code = 'ERR_BODY_SIZE';
}

/** The client closed before its body was complete. */
export class ClientGone extends Error {
  readonly code = 'ERR_CLIENT_GONE';
}

/**
 * A sender destroys the stream it was given when an origin fails; were that the request itself, its
 * socket would die with it and the client would get no answer. So the origin's side gets this one.
 * Nothing is read from the client before the first read here: until then another origin may be tried.
 */
export class RequestBody extends Readable {
  readonly #exchange: Exchange;
  readonly #request: IncomingMessage;
  readonly #maxBytes: number;
  #bytes = 0;
  #consumed = false;

  /** @param maxBytes Longest body; 0 means no limit. */
  constructor(exchange: Exchange, maxBytes: number) {
    super({ highWaterMark: 65_536 });
    this.#exchange = exchange;
    this.#request = exchange.request;
    this.#maxBytes = maxBytes;
  }

  /** Bytes read from the client. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True once anything was asked from the client: the body cannot be sent a second time. */
  get consumed(): boolean {
    return this.#consumed;
  }

  override _read(): void {
    if (!this.#consumed) {
      this.#consumed = true;
      this.#exchange.continueBody();
      this.#request.on('data', this.#onData);
      this.#request.on('end', this.#onEnd);
      this.#request.on('error', this.#onError);
    }
    this.#request.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#request.off('data', this.#onData);
    this.#request.off('end', this.#onEnd);
    this.#request.off('error', this.#onError);
    // Nobody wants the rest; unread it would keep the connection from ending.
    this.#request.resume();
    callback(error);
  }

  #onData = (chunk: Buffer): void => {
    this.#bytes += chunk.length;
    if (this.#maxBytes > 0 && this.#bytes > this.#maxBytes) {
      this.destroy(new BodyTooLarge(`more than ${this.#maxBytes} bytes`));
    } else if (!this.push(chunk)) {
      this.#request.pause();
    }
  };

  #onEnd = (): void => {
    this.push(null);
  };

  #onError = (error: Error): void => {
    this.destroy(new ClientGone(error.message));
  };
}
