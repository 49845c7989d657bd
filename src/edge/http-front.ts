/** Reads HTTP/1.1 from client sockets and makes exchanges of it. */
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Config } from '../config/schema.ts';
import { ClientConnection } from './connection.ts';
import { Exchange, lingeringClose } from './exchange.ts';
import { type Refusal, rawRefusal, refusals } from './refusal.ts';

/** Requests that one client may have sent ahead of their answers. */
const PIPELINE_MAX = 64;

export interface HttpFrontEvents {
  /** A request to work on. A client's requests come one after the other. */
  exchange(exchange: Exchange): void;
  /** Bytes that were no request; already answered. */
  refused(connection: ClientConnection, refusal: Refusal, detail: string): void;
}

/**
 * One set of limits. Sockets are handed in by `accept`, so that listeners can be opened, closed and
 * wrapped in TLS or PROXY protocol without a front knowing of it.
 */
export class HttpFront {
  readonly #server: Server;
  readonly #events: HttpFrontEvents;

  constructor(limits: Config['limits'], events: HttpFrontEvents) {
    this.#events = events;
    this.#server = createServer({
      maxHeaderSize: limits.headBytes,
      headersTimeout: limits.headMs,
      keepAliveTimeout: limits.keepAliveMs,
      // Bodies have limits of their own, which know the route.
      requestTimeout: 0,
      connectionsCheckingInterval: Math.min(1_000, Math.ceil(limits.headMs / 4)),
      insecureHTTPParser: false,
      // A request without Host is refused by the framing rules, with a body and a log line.
      requireHostHeader: false,
      shouldUpgradeCallback: isWebSocketUpgrade,
    });
    this.#server.on('request', (request, response) => this.#onRequest(request, response));
    this.#server.on('checkContinue', (request, response) => {
      this.#onRequest(request, response, 'continue');
    });
    this.#server.on('checkExpectation', (request, response) => {
      this.#onRequest(request, response, 'unknown');
    });
    this.#server.on('upgrade', (request, socket, head) => {
      this.#onUpgrade(request, socket, head);
    });
    this.#server.on('connect', (_request, socket) =>
      this.#refuse(socket as Socket, refusals.method),
    );
    this.#server.on('clientError', (error, socket) => this.#onError(error, socket as Socket));
    // The checks for slow heads start with this event; node's own listening would send it.
    this.#server.emit('listening');
  }

  /** Serves a connected socket that carries a {@link ClientConnection}. */
  accept(socket: Socket): void {
    ClientConnection.of(socket).begin = this.#events.exchange;
    this.#server.emit('connection', socket);
  }

  /** Closes keep-alive connections on which nothing is asked. */
  closeIdle(): void {
    this.#server.closeIdleConnections();
  }

  /** Stops the checks. Call when no connection is left. */
  dispose(): void {
    this.#server.close();
  }

  #onRequest(
    request: IncomingMessage,
    response: ServerResponse,
    expectation?: 'continue' | 'unknown',
  ): void {
    const connection = ClientConnection.of(request.socket);
    const exchange = new Exchange({
      connection,
      request,
      response,
      startedMs: performance.now(),
    });
    if (expectation === 'continue') exchange.expectsContinue = true;
    if (expectation === 'unknown') exchange.expectsUnknown = true;
    this.#arrived(exchange);
  }

  #onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const { socket } = request;
    // The parser has let go of the socket and so of its errors; the close that follows is heard.
    socket.on('error', ignore);
    stream.on('error', ignore);
    const connection = ClientConnection.of(socket);
    // An upgrade sent ahead of earlier answers would cut into them. A last answer is let out.
    if (connection.ending) return lingeringClose(socket);
    if (connection.exchanges.length > 0 || isAnswering(socket)) {
      socket.destroy();
      return;
    }
    // Node gives another stream than the socket when the request has a body that is not whole.
    if (stream !== socket) return this.#refuse(socket, refusals.framing, 'an upgrade with a body');
    const response = new ServerResponse(request);
    response.assignSocket(socket);
    response.shouldKeepAlive = false;
    this.#arrived(
      new Exchange({
        connection,
        request,
        response,
        startedMs: performance.now(),
        upgradeHead: head,
      }),
    );
  }

  #arrived(exchange: Exchange): void {
    const { exchanges, ending } = exchange.connection;
    if (ending) exchanges.pop();
    else if (exchanges.length === 1) this.#events.exchange(exchange);
    else if (exchanges.length > PIPELINE_MAX) exchange.abort();
  }

  #onError(error: NodeJS.ErrnoException, socket: Socket): void {
    const connection = ClientConnection.of(socket);
    if (!socket.writable || error.code === 'ECONNRESET' || error.code === 'EPIPE') {
      socket.destroy();
      return;
    }
    const inProgress = connection.exchanges;
    if (inProgress.length > 0) {
      // Bytes of ours would land inside another answer. A complete one is let out.
      if (inProgress.every((exchange) => exchange.response.writableEnded)) lingeringClose(socket);
      else socket.destroy();
      return;
    }
    // Browsers open spare connections: one that never asked anything was no failed request.
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0) {
      socket.destroy();
      return;
    }
    this.#refuse(socket, refusalOf(error), error.message);
  }

  #refuse(socket: Socket, refusal: Refusal, detail = ''): void {
    socket.on('error', ignore);
    socket.write(rawRefusal(refusal));
    lingeringClose(socket);
    this.#events.refused(ClientConnection.of(socket), refusal, detail);
  }
}

function refusalOf(error: NodeJS.ErrnoException): Refusal {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return refusals.largeHead;
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return refusals.largeBody;
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return refusals.slowHead;
    default:
      return refusals.framing;
  }
}

/** True until node has let the last byte of an answer go. */
function isAnswering(socket: Socket): boolean {
  return (socket as Socket & { _httpMessage?: unknown })._httpMessage != null;
}

/** Other upgrades (h2c) are ignored, which RFC 9110, 7.8 allows; the request is answered as it is. */
function isWebSocketUpgrade(request: IncomingMessage): boolean {
  return request.headers.upgrade?.toLowerCase() === 'websocket';
}

function ignore(): void {}
