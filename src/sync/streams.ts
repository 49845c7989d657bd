import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Claim } from '../proto/claim.ts';
import { PEERS_MAX, STREAM_QUEUE_BYTES_MAX } from './core.ts';
import type { HandshakeParty } from './handshake.ts';
import type { Keyring } from './keyring.ts';
import { SecureStream, type SecureStreamOutbox } from './secure-stream.ts';
import { parseSocketAddress, type SocketAddress } from './socket-address.ts';

/** Connections that have not proven anything yet. */
const UNPROVEN_MAX = 128;
const CONNECTIONS_MAX = 2 * PEERS_MAX;
const EXCHANGE_MS = 5_000;
const IDLE_MS = 60_000;

export interface StreamsHost {
  up(remote: Claim, called: boolean): void;
  message(remote: Claim, channel: number, body: Uint8Array): void;
  down(id: string): void;
}

export interface StreamsCounters {
  opened: number;
  accepted: number;
  refused: number;
  broken: number;
  bytesIn: number;
  bytesOut: number;
}

interface Connection {
  readonly socket: Socket;
  readonly secure: SecureStream;
  readonly called: boolean;
  /** The node that was meant, or that proved itself. */
  id: string | undefined;
  readonly waiting: { channel: number; body: Uint8Array }[];
  waitingBytes: number;
  sentAny: boolean;
  readonly openedAtMs: number;
  usedAtMs: number;
  closed: boolean;
}

/** TCP connections of the mesh: opened when something is to be sent, closed when idle. */
export class Streams {
  readonly counters: StreamsCounters = {
    opened: 0,
    accepted: 0,
    refused: 0,
    broken: 0,
    bytesIn: 0,
    bytesOut: 0,
  };
  readonly #party: HandshakeParty;
  readonly #keyring: Keyring;
  readonly #host: StreamsHost;
  readonly #clock: () => number;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #byId = new Map<string, Connection>();

  constructor(party: HandshakeParty, keyring: Keyring, host: StreamsHost, clock: () => number) {
    this.#party = party;
    this.#keyring = keyring;
    this.#host = host;
    this.#clock = clock;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  /** Rejects when the address is taken or not ours. */
  listen(at: SocketAddress): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host: at.host, port: at.port, ipv6Only: at.family === 6 }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', () => {
          this.counters.refused += 1;
        });
        resolve();
      });
    });
  }

  /** The port in use, when the system chose it. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** @returns false when too much waits for that node, or its address is none. */
  send(address: string, id: string, channel: number, body: Uint8Array): boolean {
    const connection = this.#byId.get(id) ?? this.#open(address, id);
    if (connection === undefined) return false;
    const queuedBytes = connection.waitingBytes + connection.socket.writableLength;
    if (queuedBytes + body.length > STREAM_QUEUE_BYTES_MAX) return false;
    connection.usedAtMs = this.#clock();
    connection.sentAny = true;
    if (connection.secure.isUp) connection.secure.send(channel, body, this.#outbox(connection));
    else {
      connection.waiting.push({ channel, body: new Uint8Array(body) });
      connection.waitingBytes += body.length;
    }
    return true;
  }

  /** Closes what is idle, what took too long to prove itself, and what retired keys protect. */
  sweep(): void {
    const nowMs = this.#clock();
    for (const connection of this.#connections) {
      const { secure } = connection;
      if (!secure.isUp) {
        if (nowMs - connection.openedAtMs > EXCHANGE_MS) this.#close(connection);
      } else if (this.#keyring.get(secure.keyId) === undefined) this.#close(connection);
      else if (nowMs - connection.usedAtMs > IDLE_MS) {
        connection.sentAny = false;
        this.#close(connection);
      }
    }
  }

  /** The life of a node that the stream was made with is over, unless it is a newer one already. */
  drop(id: string, run?: number): void {
    const connection = this.#byId.get(id);
    if (connection === undefined) return;
    const remote = connection.secure.remote;
    if (remote === undefined || remote.run !== run) this.#close(connection);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const connection of this.#connections) {
      connection.sentAny = false;
      this.#close(connection);
    }
    await closed;
  }

  #open(address: string, id: string): Connection | undefined {
    const to = parseSocketAddress(address);
    if (to === undefined || this.#connections.size >= CONNECTIONS_MAX) return undefined;
    this.counters.opened += 1;
    const socket = connect({ host: to.host, port: to.port, noDelay: true });
    const connection = this.#adopt(socket, true, id);
    this.#byId.set(id, connection);
    socket.on('connect', () => connection.secure.open(this.#outbox(connection)));
    return connection;
  }

  #accept(socket: Socket): void {
    let unproven = 0;
    for (const { secure, called } of this.#connections) if (!secure.isUp && !called) unproven += 1;
    if (unproven >= UNPROVEN_MAX || this.#connections.size >= CONNECTIONS_MAX) {
      this.counters.refused += 1;
      socket.destroy();
      return;
    }
    this.counters.accepted += 1;
    this.#adopt(socket, false, undefined);
  }

  #adopt(socket: Socket, called: boolean, id: string | undefined): Connection {
    const nowMs = this.#clock();
    const connection: Connection = {
      socket,
      secure: new SecureStream(this.#party, this.#keyring, called),
      called,
      id,
      waiting: [],
      waitingBytes: 0,
      sentAny: false,
      openedAtMs: nowMs,
      usedAtMs: nowMs,
      closed: false,
    };
    this.#connections.add(connection);
    socket.on('data', (bytes: Buffer) => this.#data(connection, bytes));
    // A half-closed stream is a broken one: nothing here is ever said into one direction only.
    socket.on('end', () => this.#close(connection));
    socket.on('error', () => this.#close(connection));
    socket.on('close', () => this.#close(connection));
    return connection;
  }

  #data(connection: Connection, bytes: Uint8Array): void {
    if (connection.closed) return;
    this.counters.bytesIn += bytes.length;
    connection.usedAtMs = this.#clock();
    const fault = connection.secure.receive(bytes, this.#outbox(connection));
    if (fault === undefined) return;
    this.counters.refused += 1;
    this.#close(connection);
  }

  #outbox(connection: Connection): SecureStreamOutbox {
    return {
      write: (bytes) => {
        if (connection.closed) return;
        this.counters.bytesOut += bytes.length;
        connection.socket.write(bytes);
      },
      up: (remote) => this.#up(connection, remote),
      message: (channel, body) => {
        if (!connection.closed) this.#host.message(connection.secure.remote!, channel, body);
      },
    };
  }

  #up(connection: Connection, remote: Claim): void {
    if (connection.called && remote.id !== connection.id) {
      // Another node has that address now; what waits is not for it.
      this.#host.up(remote, true);
      this.#close(connection);
      return;
    }
    connection.id = remote.id;
    if (!this.#byId.has(remote.id)) this.#byId.set(remote.id, connection);
    // First what waited, so that the order stays.
    const waiting = connection.waiting.splice(0);
    connection.waitingBytes = 0;
    const out = this.#outbox(connection);
    for (const { channel, body } of waiting) connection.secure.send(channel, body, out);
    this.#host.up(remote, connection.called);
  }

  #close(connection: Connection): void {
    if (connection.closed) return;
    connection.closed = true;
    connection.socket.destroy();
    this.#connections.delete(connection);
    const { id } = connection;
    if (id === undefined || this.#byId.get(id) !== connection) return;
    this.#byId.delete(id);
    if (!connection.sentAny) return;
    this.counters.broken += 1;
    this.#host.down(id);
  }
}
