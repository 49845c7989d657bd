/** How the edge talks to one origin: pooled connections, or one per client where each must name its client. */
import { isIP, type Socket, connect as tcpConnect } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { Client, type Dispatcher, Pool } from 'undici';
import type { Origin } from '../config/origin.ts';
import type { RouteConfig } from '../config/schema.ts';
import type { ClientConnection } from './connection.ts';
import { proxyHeader } from './proxy-protocol.ts';

/** Largest head of an answer, bytes. Larger ones are answered 502. */
const RESPONSE_HEAD_BYTES = 65_536;

export class OriginLink {
  readonly origin: Origin;
  readonly #connectMs: number;
  readonly #proxyProtocol: 'off' | 'v1' | 'v2';
  readonly #pool: Pool | undefined;
  /** With PROXY protocol a connection belongs to one client and lives no longer than its. */
  readonly #clients = new WeakMap<ClientConnection, Client>();
  readonly #open = new Set<Client>();

  constructor(origin: Origin, route: RouteConfig) {
    this.origin = origin;
    this.#connectMs = route.timeouts.connectMs;
    this.#proxyProtocol = route.proxyProtocol;
    if (route.proxyProtocol === 'off') {
      this.#pool = new Pool(origin.url, {
        // Connections are limited by the route's own count, which also has a queue.
        connections: null,
        pipelining: 1,
        allowH2: false,
        maxHeaderSize: RESPONSE_HEAD_BYTES,
        connect: { timeout: route.timeouts.connectMs },
      });
    }
  }

  dispatcherFor(connection: ClientConnection): Dispatcher {
    return this.#pool ?? this.#clientFor(connection);
  }

  /** Ends idle connections; running exchanges finish. */
  async close(): Promise<void> {
    await Promise.allSettled([
      this.#pool?.close(),
      ...[...this.#open].map((client) => client.close()),
    ]);
  }

  #clientFor(connection: ClientConnection): Client {
    const known = this.#clients.get(connection);
    if (known !== undefined && !known.destroyed) return known;
    const client = new Client(this.origin.url, {
      pipelining: 1,
      maxHeaderSize: RESPONSE_HEAD_BYTES,
      connect: (_options, callback) => {
        this.#connectAs(connection, callback);
      },
    });
    this.#clients.set(connection, client);
    this.#open.add(client);
    connection.closers.push(() => {
      this.#open.delete(client);
      client.destroy().catch(() => undefined);
    });
    return client;
  }

  /** The PROXY header is the first thing on the connection, before TLS. */
  #connectAs(
    connection: ClientConnection,
    callback: (...result: [null, Socket] | [Error, null]) => void,
  ): void {
    const { host, port, tls } = this.origin;
    const version = this.#proxyProtocol === 'v1' ? 'v1' : 'v2';
    const raw = tcpConnect({ host, port, noDelay: true, keepAlive: true });
    const timer = setTimeout(() => raw.destroy(connectTimeout(this.#connectMs)), this.#connectMs);
    const failed = (error: Error) => {
      clearTimeout(timer);
      callback(error, null);
    };
    const ready = (socket: Socket) => {
      clearTimeout(timer);
      socket.removeListener('error', failed);
      // undici listens a moment later; an error in between must not go unheard and end the process.
      socket.on('error', () => undefined);
      callback(null, socket);
    };
    raw.once('error', failed);
    raw.once('connect', () => {
      raw.write(proxyHeader(version, connection.source, connection.destination));
      if (!tls) return ready(raw);
      raw.removeListener('error', failed);
      const secure = tlsConnect({ socket: raw, ...(isIP(host) ? {} : { servername: host }) });
      secure.once('error', failed);
      secure.once('secureConnect', () => ready(secure));
    });
  }
}

function connectTimeout(ms: number): Error {
  return Object.assign(new Error(`no connection within ${ms} ms`), {
    code: 'UND_ERR_CONNECT_TIMEOUT',
  });
}
