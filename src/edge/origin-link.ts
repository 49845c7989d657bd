/** How the edge talks to one origin: kept connections, or one per client where each must name its client. */
import type { Origin } from '../config/origin.ts';
import type { RouteConfig } from '../config/schema.ts';
import type { ClientConnection } from './connection.ts';
import type { OriginCall } from './origin-call.ts';
import { OriginConnections } from './origin-connections.ts';
import type { OriginSocketOptions } from './origin-socket.ts';
import { proxyHeader } from './proxy-protocol.ts';

export class OriginLink {
  readonly origin: Origin;
  /** Its name and, unless it is the usual one, its port: what `Host` says. */
  readonly authority: string;
  readonly #connectMs: number;
  readonly #proxyProtocol: 'off' | 'v1' | 'v2';
  readonly #connections: OriginConnections;
  /** With PROXY protocol a connection belongs to one client and lives no longer than its. */
  readonly #perClient = new Map<ClientConnection, OriginConnections>();
  #session: Buffer | undefined;
  #closed = false;

  constructor(origin: Origin, route: RouteConfig) {
    this.origin = origin;
    this.authority = new URL(origin.url).host;
    this.#connectMs = route.timeouts.connectMs;
    this.#proxyProtocol = route.proxyProtocol;
    this.#connections = new OriginConnections(() => this.#options(undefined), this.#connectMs);
  }

  /** Begins an attempt. Nothing is told to its handler before this has returned. */
  call(call: OriginCall, client: ClientConnection): void {
    if (this.#proxyProtocol === 'off') this.#connections.call(call);
    else this.#connectionsOf(client, this.#proxyProtocol).call(call);
  }

  /** Ends idle connections; running exchanges finish. */
  close(): void {
    this.#closed = true;
    this.#connections.close();
    for (const connections of this.#perClient.values()) connections.close();
  }

  #connectionsOf(client: ClientConnection, version: 'v1' | 'v2'): OriginConnections {
    const known = this.#perClient.get(client);
    if (known !== undefined) return known;
    const preamble = proxyHeader(version, client.source, client.destination);
    const connections = new OriginConnections(() => this.#options(preamble), this.#connectMs);
    if (this.#closed) connections.close();
    this.#perClient.set(client, connections);
    client.closers.push(() => {
      this.#perClient.delete(client);
      connections.close();
    });
    return connections;
  }

  #options(preamble: Buffer | undefined): OriginSocketOptions {
    return {
      origin: this.origin,
      preamble,
      session: this.#session,
      onSession: (session) => {
        this.#session = session;
      },
    };
  }
}
