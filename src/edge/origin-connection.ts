/** One connection to an origin: carries one request after another, never two at once. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { OriginCall } from './origin-call.ts';
import { OriginClosed, OriginConnectTimeout, OriginProtocolError } from './origin-error.ts';
import {
  type OriginSocketEvents,
  type OriginSocketOptions,
  openOriginSocket,
} from './origin-socket.ts';
import type { Lender } from './read-buffer.ts';
import type { BodySink } from './request-body.ts';
import { type FaultKind, type ResponseEvents, ResponseParser } from './response-parser.ts';

/** Whoever keeps connections. */
export interface ConnectionKeeper {
  /** It can carry another request now. */
  onIdle(connection: OriginConnection): void;
  /** An idle one ended. */
  onIdleClosed(connection: OriginConnection): void;
  /** It had ended before the origin saw the request: to be sent again, on a new connection. */
  onStale(call: OriginCall): void;
}

/** How long an idle connection is kept, milliseconds, unless the origin says less. */
const KEEP_MS = 4_000;
/** An origin's own time is shortened by this: the request must arrive before the origin closes. */
const KEEP_MARGIN_MS = 1_000;

export class OriginConnection implements OriginSocketEvents, ResponseEvents, BodySink {
  /** Since when it has been idle; kept by its keeper. */
  idleSinceMs = 0;
  keepMs = KEEP_MS;
  readonly #keeper: ConnectionKeeper;
  readonly #parser = new ResponseParser(this);
  readonly #cancel: () => void;
  #connectTimer: NodeJS.Timeout | undefined;
  #socket: Socket | undefined;
  #call: OriginCall | undefined;
  #lender: Lender | undefined;
  #requests = 0;
  /** A byte of the answer to the current request has arrived. */
  #answered = false;
  #over = false;

  /** Connects; `call` is sent as soon as that is done. */
  constructor(
    keeper: ConnectionKeeper,
    options: OriginSocketOptions,
    connectMs: number,
    call: OriginCall,
  ) {
    this.#keeper = keeper;
    this.#call = call;
    call.connection = this;
    this.#cancel = openOriginSocket(options, this);
    this.#connectTimer = setTimeout(() => {
      this.#fail(new OriginConnectTimeout(`no connection within ${connectMs} ms`));
    }, connectMs);
  }

  /** Sends a request. The connection must be idle. */
  carry(call: OriginCall): void {
    this.#call = call;
    call.connection = this;
    this.#send(this.#socket as Socket, call);
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  /** Within `originBody`: leaves the bytes to the handler, as a {@link Lender} does. */
  lend(): (() => void) | undefined {
    return this.#lender?.lend();
  }

  /** Ends it without telling the call. */
  abandon(): void {
    this.#call = undefined;
    this.#close();
  }

  // What the socket says.

  onReady(socket: Socket): void {
    clearTimeout(this.#connectTimer);
    this.#socket = socket;
    socket.on('error', this.#onError);
    socket.on('end', this.#onEof);
    socket.on('close', this.#onClose);
    socket.on('drain', this.#onDrain);
    if (this.#over) socket.destroy();
    else if (this.#call !== undefined) this.#send(socket, this.#call);
  }

  onRefused(error: Error): void {
    this.#fail(error);
  }

  get isBusy(): boolean {
    return this.#call !== undefined;
  }

  onBytes(buffer: Buffer, bytes: number, lender: Lender): void {
    // Nobody asked: whatever it is, it must not become the answer to the next request.
    if (this.#call === undefined) return this.#idleEnded();
    this.#answered = true;
    this.#lender = lender;
    try {
      this.#parser.feed(buffer, 0, bytes);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #onError = (error: Error): void => {
    this.#fail(error);
  };

  #onEof = (): void => {
    if (this.#call === undefined) return this.#idleEnded();
    try {
      this.#parser.eof();
    } catch (error) {
      this.#fail(error as Error);
    }
  };

  #onClose = (): void => {
    this.#fail(new OriginClosed('closed before the answer was complete'));
  };

  #onDrain = (): void => {
    this.#call?.body?.resume();
  };

  // What the parser says.

  onHead(status: number, reason: string, headers: string[], bodyBytes: number): void {
    const { keepAliveS } = this.#parser;
    this.keepMs = keepAliveS < 0 ? KEEP_MS : Math.min(KEEP_MS, keepAliveS * 1_000 - KEEP_MARGIN_MS);
    this.#call?.handler.originHead(status, reason, headers, bodyBytes);
  }

  onBody(buffer: Buffer, start: number, end: number, isLast: boolean): void {
    this.#call?.handler.originBody(buffer, start, end, isLast);
  }

  onEnd(reusable: boolean): void {
    const call = this.#call;
    if (call === undefined) return;
    const socket = this.#socket as Socket;
    // What is left of the request's body would be read as the next request.
    const isSent = (call.body === null || call.body.complete) && socket.writableLength === 0;
    this.#call = undefined;
    call.connection = undefined;
    call.body?.stop();
    if (reusable && isSent && this.keepMs > 0 && socket.writable) {
      if (call.paused) socket.resume();
      this.#keeper.onIdle(this);
    } else {
      this.#close();
    }
    call.handler.originEnd();
  }

  onUpgrade(headers: string[], early: Buffer): void {
    const call = this.#call;
    const socket = this.#socket;
    if (call === undefined || socket === undefined) return;
    this.#call = undefined;
    call.connection = undefined;
    this.#over = true;
    socket.pause();
    socket.off('error', this.#onError);
    socket.off('end', this.#onEof);
    socket.off('close', this.#onClose);
    socket.off('drain', this.#onDrain);
    if (socket instanceof TLSSocket) {
      socket.removeAllListeners('data');
      const rest = socket.read() as Buffer | null;
      call.handler.originUpgrade(
        headers,
        socket,
        rest === null ? early : Buffer.concat([early, rest]),
      );
    } else {
      call.handler.originUpgrade(headers, socket, early);
    }
  }

  onFault(kind: FaultKind, fault: string): void {
    this.#fail(kind === 'closed' ? new OriginClosed(fault) : new OriginProtocolError(fault));
  }

  // What the body says.

  takeBody(chunk: Buffer): boolean {
    const socket = this.#socket as Socket;
    if (this.#call?.body?.isChunked !== true) return socket.write(chunk);
    if (chunk.length === 0) return true;
    socket.cork();
    socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
    socket.write(chunk);
    const goesOn = socket.write('\r\n', 'latin1');
    socket.uncork();
    return goesOn;
  }

  bodyEnded(): void {
    if (this.#call?.body?.isChunked === true) this.#socket?.write('0\r\n\r\n', 'latin1');
  }

  bodyFailed(error: Error): void {
    this.#fail(error);
  }

  #send(socket: Socket, call: OriginCall): void {
    this.#requests += 1;
    this.#answered = false;
    call.sent = true;
    this.#parser.begin(call.isHead, call.isUpgrade);
    socket.write(call.head, 'latin1');
    call.body?.flowTo(this);
  }

  #fail(error: Error): void {
    const call = this.#call;
    if (call === undefined) return this.#idleEnded();
    this.#call = undefined;
    call.connection = undefined;
    call.body?.stop();
    this.#close();
    // Kept too long: the origin had ended it before the request arrived.
    if (this.#requests > 1 && !this.#answered && call.mayRepeat) {
      call.mayRepeat = false;
      call.sent = false;
      this.#keeper.onStale(call);
    } else {
      call.handler.originError(error);
    }
  }

  #idleEnded(): void {
    if (this.#over) return;
    this.#close();
    this.#keeper.onIdleClosed(this);
  }

  #close(): void {
    this.#over = true;
    clearTimeout(this.#connectTimer);
    this.#parser.stop();
    if (this.#socket === undefined) this.#cancel();
    else this.#socket.destroy();
  }
}
