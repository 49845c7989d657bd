/** One listening address: accepts connections, reads PROXY headers, speaks TLS, and hands sockets on. */
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { type Cidr, cidrMatcher } from '../config/cidr.ts';
import { listenError } from '../config/listen-error.ts';
import { formatListener, type Listener } from '../config/listener.ts';
import type { Certificates } from './certificates.ts';
import { ClientConnection, type Endpoint, plainAddress } from './connection.ts';
import { parseProxyHeader } from './proxy-protocol.ts';
import { type Refusal, rawRefusal, refusals } from './refusal.ts';
import type { TicketKeys } from './ticket-keys.ts';

/**
 * The same everywhere, or a session ticket made at one node is silently useless at the others: the
 * default is a hash of the process's arguments.
 */
const sessionIdContext = 'holdfast';
/** Connections that may wait to be accepted; the kernel's own limit (somaxconn) is 4,096, too. */
const BACKLOG = 4_096;

export interface ListenerOptions {
  readonly listener: Listener;
  /** An open socket to listen on, as `net.Server.listen` takes it; else one is opened. */
  readonly socket: object | undefined;
  /** Asked at every handshake, so that certificates can be replaced. */
  readonly certificates: () => Certificates;
  /** They seal TLS session tickets, the same on every worker and node that may resume them. */
  readonly ticketKeys: TicketKeys;
  /** How long a TLS session can be resumed, seconds. */
  readonly tlsSessionS: () => number;
  readonly isTrusted: (address: string) => boolean;
  readonly headMs: () => number;
  /** A new connection asks for a place; gives the refusal that it gets instead. */
  readonly admit: (address: string) => Refusal | undefined;
  /** A connection that was admitted has closed. */
  readonly left: (connection: ClientConnection) => void;
  /** A connection ready to speak HTTP. */
  readonly ready: (socket: Socket, connection: ClientConnection) => void;
  /** A connection that got no further. */
  readonly refused: (connection: ClientConnection, refusal: Refusal, detail: string) => void;
}

export class EdgeListener {
  readonly options: ListenerOptions;
  /** Its identity over reloads. */
  readonly name: string;
  readonly #server: Server;
  readonly #tls: TlsServer | undefined;
  /** Connections in their handshake, by the peer's address and port. */
  readonly #handshakes = new Map<string, ClientConnection>();
  #speaksProxy: (address: string) => boolean;
  #unread = 0;

  constructor(options: ListenerOptions) {
    this.options = options;
    this.name = formatListener(options.listener);
    this.#speaksProxy = cidrMatcher(options.listener.proxyProtocolFrom);
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 },
      (socket) => this.#accept(socket),
    );
    if (options.listener.tls) this.#tls = this.#makeTls();
  }

  /** Replaces the peers that must speak PROXY protocol, for connections to come. */
  set proxyProtocolFrom(cidrs: readonly Cidr[]) {
    this.#speaksProxy = cidrMatcher(cidrs);
  }

  /** The port in use; differs from the configured one when that is 0. */
  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === 'object' ? address.port : 0;
  }

  /** Connections whose PROXY header is not there yet: accepted, but admitted nowhere. */
  get unread(): number {
    return this.#unread;
  }

  /** Rejects with `ERR_LISTEN`. */
  async listen(): Promise<void> {
    const { listener, socket } = this.options;
    const { host, port } = listener;
    await new Promise<void>((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException) => reject(listenError(listener, error));
      const listening = () => {
        this.#server.off('error', failed);
        // Running out of descriptors must not end the process: the kernel's queue holds the rest.
        this.#server.on('error', () => undefined);
        resolve();
      };
      this.#server.once('error', failed);
      if (socket !== undefined) this.#server.listen(socket, BACKLOG, listening);
      else {
        const where = host === '' ? { port } : { port, host };
        this.#server.listen({ ...where, backlog: BACKLOG }, listening);
      }
    });
  }

  /** Takes the certificate for clients that name no server anew; the others are asked for each time. */
  renewCertificates(): void {
    const { certificates, tlsSessionS } = this.options;
    this.#tls?.setSecureContext({
      ...certificates().fallback,
      sessionIdContext,
      sessionTimeout: tlsSessionS(),
      minVersion: 'TLSv1.2',
    });
    this.renewTicketKeys();
  }

  /** Takes over what became of the ticket keys. Connections in their handshake do not notice. */
  renewTicketKeys(): void {
    if (this.#tls !== undefined) this.options.ticketKeys.giveTo(this.#tls);
  }

  /** Stops accepting; open connections go on. */
  close(): void {
    this.#server.close();
  }

  #accept(socket: Socket): void {
    socket.on('error', ignore);
    const peer = { address: plainAddress(socket.remoteAddress), port: socket.remotePort ?? 0 };
    if (peer.address === '') {
      socket.destroy(); // It was gone before it was accepted.
      return;
    }
    const local = { address: plainAddress(socket.localAddress), port: socket.localPort ?? 0 };
    if (this.#speaksProxy(peer.address)) this.#readProxyHeader(socket, peer, local);
    else this.#admit(socket, peer, peer, local);
  }

  /** The header must come whole and first; nothing else is believed to be from its sender. */
  #readProxyHeader(socket: Socket, peer: Endpoint, local: Endpoint): void {
    let seen: Buffer = Buffer.alloc(0);
    this.#unread += 1;
    const timer = setTimeout(() => socket.destroy(), this.options.headMs());
    const done = () => {
      this.#unread -= 1;
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('close', done);
    };
    const onData = (chunk: Buffer) => {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      const header = parseProxyHeader(seen);
      if (header.state === 'incomplete') return;
      done();
      if (header.state === 'invalid') {
        const connection = this.#connection(peer, peer, local);
        this.options.refused(connection, refusals.proxyHeader, header.reason);
        socket.destroy();
        return;
      }
      socket.pause();
      if (seen.length > header.bytes) socket.unshift(seen.subarray(header.bytes));
      this.#admit(socket, peer, header.source ?? peer, header.destination ?? local);
      // Whoever listens now gets what came behind the header; TLS has taken it already.
      if (this.#tls === undefined) socket.resume();
    };
    socket.on('close', done);
    socket.on('data', onData);
  }

  #connection(peer: Endpoint, source: Endpoint, destination: Endpoint): ClientConnection {
    return new ClientConnection({
      peer,
      source,
      destination,
      tls: this.#tls !== undefined,
      trusted: this.options.isTrusted(source.address),
    });
  }

  #admit(socket: Socket, peer: Endpoint, source: Endpoint, destination: Endpoint): void {
    const connection = this.#connection(peer, source, destination);
    const refusal = this.options.admit(source.address);
    if (refusal !== undefined) {
      this.options.refused(connection, refusal, '');
      // In the middle of a TLS handshake there is no way to say why.
      if (this.#tls === undefined) socket.end(rawRefusal(refusal), () => socket.destroy());
      else socket.destroy();
      return;
    }
    this.#leaveWith(connection);
    socket.once('close', closedOf(connection));
    if (this.#tls === undefined) {
      connection.attach(socket);
      this.options.ready(socket, connection);
      return;
    }
    const key = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#handshakes.set(key, connection);
    socket.once('close', () => this.#handshakes.delete(key));
    this.#tls.emit('connection', socket);
  }

  /** Closures of one scope keep all that any of them uses; this one must not keep a dead socket. */
  #leaveWith(connection: ClientConnection): void {
    connection.closers.push(() => this.options.left(connection));
  }

  #makeTls(): TlsServer {
    const { certificates, ticketKeys, headMs, tlsSessionS } = this.options;
    const server = createTlsServer({
      ...certificates().fallback,
      allowHalfOpen: true,
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: headMs(),
      minVersion: 'TLSv1.2',
      sessionIdContext,
      sessionTimeout: tlsSessionS(),
      SNICallback: (servername, callback) => {
        const context = certificates().select(servername);
        if (context === undefined) callback(new Error(`no certificate for ${servername}`));
        else callback(null, context);
      },
    });
    ticketKeys.giveTo(server);
    // Node reports a handshake that took too long, but leaves the connection open.
    server.on('tlsClientError', (error, socket) => {
      const connection = this.#handshakes.get(`${socket.remoteAddress}:${socket.remotePort}`);
      if (connection !== undefined) {
        this.options.refused(connection, refusals.tlsHandshake, error.message.trim());
      }
      socket.destroy();
    });
    server.on('secureConnection', (socket) => {
      const key = `${socket.remoteAddress}:${socket.remotePort}`;
      const connection = this.#handshakes.get(key);
      this.#handshakes.delete(key);
      if (connection === undefined) {
        socket.destroy();
        return;
      }
      socket.on('error', ignore);
      connection.attach(socket);
      this.options.ready(socket, connection);
    });
    return server;
  }
}

function ignore(): void {}

function closedOf(connection: ClientConnection): () => void {
  return () => connection.closed();
}
