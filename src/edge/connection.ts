/** Facts of one client connection, known once and used by every request on it. */
import type { Socket } from 'node:net';
import type { Exchange } from './exchange.ts';
import { forwardedElement } from './forwarded.ts';
import type { RosterEntry } from './roster.ts';

const connectionOf = Symbol('holdfast.connection');

declare module 'node:net' {
  interface Socket {
    [connectionOf]?: ClientConnection;
  }
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** One TCP connection from a client. */
export class ClientConnection implements RosterEntry {
  place = -1;
  /** Who holds the other end of the TCP connection. */
  readonly peer: Endpoint;
  /** Who the connection is from: the PROXY protocol's source, else the peer. */
  readonly source: Endpoint;
  /** Where the source connected to: the PROXY protocol's destination, else our own address. */
  readonly destination: Endpoint;
  readonly tls: boolean;
  /**
   * What the client asked and has not been answered yet. Only the first is being worked on: a client
   * that pipelines gets one answer after the other and cannot fill an origin's places by itself.
   */
  readonly exchanges: Exchange[] = [];
  /** Begins to work on an exchange; set by the front that made it. */
  begin: (exchange: Exchange) => void = () => undefined;
  /** The source is a trusted proxy: what it says about its own client is believed. */
  readonly trusted: boolean;
  #forwardedHost: string | undefined;
  #forwarded = '';
  /** The answer being sent is the last on this connection. */
  ending = false;
  /** What HTTP is spoken on. Undefined before, and again once a tunnel has taken it over. */
  socket: Socket | undefined;
  /** Run when the connection closes; used by what lives exactly as long as the connection. */
  readonly closers: (() => void)[] = [];

  constructor(facts: {
    peer: Endpoint;
    source: Endpoint;
    destination: Endpoint;
    tls: boolean;
    trusted: boolean;
  }) {
    this.peer = facts.peer;
    this.source = facts.source;
    this.destination = facts.destination;
    this.tls = facts.tls;
    this.trusted = facts.trusted;
  }

  attach(socket: Socket): void {
    socket[connectionOf] = this;
    this.socket = socket;
  }

  static of(socket: Socket): ClientConnection {
    const connection = socket[connectionOf];
    if (connection === undefined) throw new TypeError('socket was not accepted by a listener');
    return connection;
  }

  /** The element of `Forwarded` for this client; the same for every request to one host. */
  forwardedFor(host: string): string {
    if (this.#forwardedHost !== host) {
      this.#forwardedHost = host;
      this.#forwarded = forwardedElement({
        for: this.source.address,
        host,
        proto: this.tls ? 'https' : 'http',
      });
    }
    return this.#forwarded;
  }

  /** An exchange was answered: the next one that the client asked for may begin. */
  exchangeEnded(): void {
    if (this.ending) {
      // What the client sent behind the last answer must not reach anybody: the client cannot know
      // whether it was done, and after a refusal for bad framing it may not even be a request.
      this.exchanges.length = 0;
      return;
    }
    const next = this.exchanges[0];
    if (next !== undefined) this.begin(next);
  }

  /** Tells every exchange in progress that nobody is left to answer. */
  closed(): void {
    for (const exchange of this.exchanges.splice(0)) exchange.clientGone();
    for (const close of this.closers.splice(0)) close();
  }
}

/** IPv4-mapped IPv6 addresses (RFC 4291, 2.5.5.2) are shown as the IPv4 addresses that they are. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
