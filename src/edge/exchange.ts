/**
 * The seam between the protocol a client speaks and everything behind it: routing, origins, logs.
 * The front that reads HTTP from clients makes exchanges; it can be replaced without touching
 * their users.
 */
import { randomBytes } from 'node:crypto';
import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { Socket } from 'node:net';
import type { ClientConnection } from './connection.ts';

/** What a user of an exchange is told. */
export interface ExchangeSink {
  /** The client can take more, after `write` gave false. */
  drained(): void;
  /** The client went away before the answer was complete. */
  clientGone(): void;
  /** The answer was handed to the kernel completely. */
  finished(): void;
}

/** One request and its answer. */
export class Exchange {
  readonly connection: ClientConnection;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly startedMs: number;
  /** Path as matched and as sent to the origin: dot segments are resolved, no query. */
  path = '';
  /** With its question mark, or empty. */
  query = '';
  /** Who asks: the connection's source, or who a trusted proxy says it is. */
  clientAddress: string;
  /** The client waits for `100 Continue` before it sends its body (RFC 9110, 10.1.1). */
  expectsContinue = false;
  /** The client expects something that nobody knows. */
  expectsUnknown = false;
  /** True for a request to switch to WebSocket. */
  readonly isUpgrade: boolean;
  /** Bytes the client sent after the head of an upgrade request. */
  readonly upgradeHead: Buffer | undefined;
  #id: string | undefined;
  #sink: ExchangeSink | undefined;
  #gone = false;
  #listensForDrain = false;

  constructor(facts: {
    connection: ClientConnection;
    request: IncomingMessage;
    response: ServerResponse;
    startedMs: number;
    upgradeHead?: Buffer;
  }) {
    this.connection = facts.connection;
    this.request = facts.request;
    this.response = facts.response;
    this.startedMs = facts.startedMs;
    this.upgradeHead = facts.upgradeHead;
    this.isUpgrade = facts.upgradeHead !== undefined;
    this.clientAddress = facts.connection.source.address;
    this.connection.exchanges.push(this);
    // A response reports errors as events too; the socket's close is what we act on.
    this.response.on('error', ignore);
    if (this.isUpgrade) this.request.socket.on('readable', this.#onReadable);
  }

  get id(): string {
    this.#id ??= nextId();
    return this.#id;
  }

  /** A trusted proxy in front may have named the request already. */
  adoptId(id: string): void {
    this.#id = id;
  }

  get method(): string {
    return this.request.method as string;
  }

  /** The request target as sent. */
  get target(): string {
    return this.request.url as string;
  }

  get headers(): IncomingHttpHeaders {
    return this.request.headers;
  }

  get rawHeaders(): readonly string[] {
    return this.request.rawHeaders;
  }

  get host(): string {
    return this.request.headers.host ?? '';
  }

  /** RFC 9112, 6.3: a request has a body exactly if it says so. */
  get hasBody(): boolean {
    const headers = this.request.headers;
    if (headers['transfer-encoding'] !== undefined) return true;
    const length = headers['content-length'];
    return length !== undefined && Number(length) !== 0;
  }

  get headSent(): boolean {
    return this.response.headersSent;
  }

  get gone(): boolean {
    return this.#gone;
  }

  follow(sink: ExchangeSink): void {
    this.#sink = sink;
  }

  /**
   * Sends the head. `headers` is a flat list: name, value, name, value.
   * @param close ends the connection after this answer, and says so.
   */
  respond(status: number, statusText: string | undefined, headers: string[], close: boolean): void {
    if (close) {
      headers.push('connection', 'close');
      this.connection.ending = true;
    }
    // Named always: node keeps a bad text of a failed attempt and would stumble over it again.
    this.response.writeHead(status, sentStatusText(status, statusText), headers);
  }

  /** Lets the client see the head before there is a body. */
  flushHead(): void {
    this.response.flushHeaders();
  }

  /**
   * Sends a piece of the body; false means: wait for `drained`.
   * @param sent called when the memory of `chunk` is free again, sent or not.
   */
  write(chunk: Buffer, sent?: () => void): boolean {
    if (this.response.write(chunk, sent)) return true;
    if (!this.#listensForDrain) {
      this.#listensForDrain = true;
      this.response.on('drain', () => this.#sink?.drained());
    }
    return false;
  }

  /** Completes the answer. */
  end(body?: string, encoding: BufferEncoding = 'utf8'): void {
    if (body === undefined) this.response.end(this.#onFinish);
    else this.response.end(body, encoding, this.#onFinish);
  }

  /** Breaks the connection, so that the client cannot take what it has for the whole. */
  abort(): void {
    this.request.socket.destroy();
  }

  /**
   * After the next answer reads what the client still sends, for a while, before closing: closing
   * with unread bytes makes the kernel send RST, which can overtake the answer (RFC 9112, 9.6).
   */
  lingerAfterAnswer(): void {
    const socket = this.request.socket;
    socket.destroySoon = () => lingeringClose(socket);
  }

  /** For an accepted upgrade: the client's socket, taken out of the HTTP machinery. */
  detach(): Socket {
    const socket = this.request.socket;
    socket.off('readable', this.#onReadable);
    this.response.detachSocket(socket);
    this.connection.socket = undefined;
    this.#leave();
    this.#sink = undefined;
    return socket;
  }

  /** The client may send its body now. */
  continueBody(): void {
    if (!this.expectsContinue || this.headSent || this.#gone) return;
    this.expectsContinue = false;
    this.response.writeContinue();
  }

  /** Called by the connection when it closes. */
  clientGone(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#sink?.clientGone();
  }

  /**
   * While an upgrade is being asked nobody reads from the client, and a FIN would go unseen. What it
   * sends early stays in the socket; an end without more to read means that it went away.
   */
  #onReadable = (): void => {
    const socket = this.request.socket;
    if (socket.readableLength > 0) return;
    socket.once('end', () => socket.destroy());
    socket.read();
  };

  #onFinish = (): void => {
    if (this.#gone) return;
    this.#leave();
    if (this.isUpgrade) {
      this.request.socket.off('readable', this.#onReadable);
      lingeringClose(this.request.socket);
    }
    this.#sink?.finished();
  };

  #leave(): void {
    const exchanges = this.connection.exchanges;
    const index = exchanges.indexOf(this);
    if (index >= 0) exchanges.splice(index, 1);
    this.connection.exchangeEnded();
  }
}

/** An origin's reason phrase (RFC 9112, 4) if it may be sent on, else the usual one. */
function sentStatusText(status: number, text: string | undefined): string {
  if (text !== undefined && /^[\t\x20-\x7e\x80-\xff]*$/.test(text)) return text;
  return STATUS_CODES[status] ?? '';
}

function ignore(): void {}

const LINGER_MS = 2_000;
const LINGER_BYTES = 4_194_304;

/** Half-closes, discards what still arrives (bounded), then closes. */
export function lingeringClose(socket: Socket): void {
  if (socket.destroyed) return;
  const startBytes = socket.bytesRead;
  socket.end();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  const check = setInterval(() => {
    if (socket.bytesRead - startBytes > LINGER_BYTES) socket.destroy();
  }, 50);
  timer.unref();
  check.unref();
  socket.once('end', () => socket.destroy());
  socket.once('close', () => {
    clearTimeout(timer);
    clearInterval(check);
  });
  socket.resume();
}

/** Forty-eight random bits: two nodes, or two lives of one, do not share ids. */
const idPrefix = randomBytes(6).toString('base64url');
let idCounter = 0;

/** Unique on this machine; the counter makes neighbours in a log sortable. */
function nextId(): string {
  idCounter += 1;
  return `${idPrefix}-${idCounter.toString(36)}`;
}
