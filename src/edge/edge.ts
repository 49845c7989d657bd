/** The edge: listens, terminates HTTP and WebSocket traffic, and carries it to origins. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { cidrMatcher } from '../config/cidr.ts';
import { formatListener, type Listener } from '../config/listener.ts';
import type { Config } from '../config/schema.ts';
import { AccessLog, type AccessLogSink, accessRecordWithoutRequest } from './access-log.ts';
import { Certificates } from './certificates.ts';
import { ClientLimit } from './client-limit.ts';
import type { ClientConnection } from './connection.ts';
import { Drain } from './drain.ts';
import { Gateway } from './gateway.ts';
import { HttpFront } from './http-front.ts';
import { EdgeListener } from './listener.ts';
import { makeRegistry } from './metrics.ts';
import type { OriginSnapshot } from './origin-pool.ts';
import { type Refusal, refusals } from './refusal.ts';
import { Roster } from './roster.ts';
import { type Route, RoutingTable } from './route.ts';
import { TICKET_KEY_BYTES, TicketKeys } from './ticket-keys.ts';

export interface EdgeDeps {
  readonly log: Logger;
  /** Takes one JSON line per request, unless `accessLog` is `off`; `null` keeps no access log. */
  readonly accessLog: AccessLogSink | null;
  /**
   * Keys of 48 random bytes that seal TLS session tickets; give all workers and nodes the same. The
   * first seals, all are accepted. Default: one of its own. See {@link Edge.setTicketKeys}.
   */
  readonly ticketKeys?: Uint8Array | readonly Uint8Array[];
  /**
   * Gives a socket that is open already, as `net.Server.listen` takes it: one that outlives this
   * process, say. Asked once for each listener that is opened; it is closed with the listener.
   * Default: all are opened here.
   */
  readonly socketFor?: (listener: Listener) => object | undefined;
}

export interface EdgeStatus {
  readonly draining: boolean;
  readonly listeners: string[];
  readonly connections: number;
  readonly requestsInFlight: number;
  readonly tunnels: number;
  readonly sites: {
    host: string;
    routes: { path: string; requests: number; origins: OriginSnapshot[] }[];
  }[];
}

/** A {@link Edge.retire} under way. */
interface Retirement {
  readonly listeners: readonly EdgeListener[];
  readonly ended: Promise<void>;
  resolve(): void;
}

/** How long a TLS session can be resumed, seconds, without keys that are shared and change. */
const LONE_TLS_SESSION_S = 300;
/** How often silence, queues and drains are looked at, milliseconds. */
const SWEEP_MS = 250;
/** Tunnels are many and their limits long: every so many sweeps. */
const TUNNEL_SWEEP_EVERY = 4;

/**
 * Runs in one process; a node runs one per core. All methods but `start`, `apply` and
 * `setTicketKeys` never throw.
 */
export class Edge {
  readonly metrics: Registry;
  readonly #gateway: Gateway;
  readonly #ticketKeys: TicketKeys;
  readonly #sink: AccessLogSink | null;
  readonly #socketFor: (listener: Listener) => object | undefined;
  readonly #listeners = new Map<string, EdgeListener>();
  readonly #connections = new Roster<ClientConnection>();
  /** The newest is in use; older ones serve connections that they accepted. */
  #fronts: HttpFront[] = [];
  #config: Config;
  #certificates: Certificates;
  #clientLimit: ClientLimit;
  #sweepTimer: NodeJS.Timeout | undefined;
  #sweeps = 0;
  #retired = new Set<{ routes: Set<Route>; deadlineMs: number }>();
  #drain: Drain | undefined;
  #retirement: Retirement | undefined;

  /** Throws for bad certificates or route patterns. Nothing is opened before `start`. */
  constructor(config: Config, deps: EdgeDeps) {
    this.#config = config;
    this.#ticketKeys = new TicketKeys(listOf(deps.ticketKeys ?? randomBytes(TICKET_KEY_BYTES)));
    this.#certificates = new Certificates(config);
    this.#clientLimit = new ClientLimit(clientLimitsOf(config));
    this.#sink = deps.accessLog;
    this.#socketFor = deps.socketFor ?? (() => undefined);
    const node = nodeOf(config);
    this.#gateway = new Gateway({
      node,
      log: deps.log,
      accessLog: this.#accessLogFor(config),
      table: new RoutingTable(config),
      isTrusted: cidrMatcher(config.trustedProxies),
    });
    this.#fronts.push(this.#makeFront(config));
    this.metrics = makeRegistry(this.#metricsSource());
  }

  /** Opens all listeners. Rejects with `ERR_LISTEN` and leaves none open. */
  async start(): Promise<void> {
    await this.#openListeners(listenersOf(this.#config));
    this.#sweepTimer = setInterval(() => this.#sweep(performance.now()), SWEEP_MS);
    this.#sweepTimer.unref();
  }

  /**
   * Takes a new configuration over. What means the same goes on untouched: connections, streams,
   * health, counts. Streams on routes that changed or went may finish until `drain.deadlineMs`.
   * Rejects and changes nothing when a certificate, a pattern or a new listener is bad.
   */
  async apply(config: Config): Promise<void> {
    const certificates = new Certificates(config);
    const before = this.#gateway.table;
    const table = new RoutingTable(config, before);
    const wanted = listenersOf(config);
    await this.#openListeners(wanted.filter((one) => !this.#listeners.has(formatListener(one))));

    const limitsChanged = JSON.stringify(config.limits) !== JSON.stringify(this.#config.limits);
    this.#config = config;
    this.#certificates = certificates;
    this.#gateway.table = table;
    this.#gateway.accessLog = this.#accessLogFor(config);
    this.#gateway.isTrusted = cidrMatcher(config.trustedProxies);
    if (limitsChanged) {
      this.#clientLimit.setLimits(clientLimitsOf(config));
      this.#fronts.push(this.#makeFront(config));
    }
    this.#closeListenersExcept(wanted);
    for (const listener of this.#listeners.values()) listener.renewCertificates();
    this.#retire(table.retiredFrom(before));
  }

  /**
   * Replaces the keys that seal TLS session tickets, for handshakes from now on.
   * @param keys 48 bytes each. The first seals; tickets under any of them resume, where the version
   * of Node allows: with others, tickets under the first alone. A ticket under none of them falls
   * back to a full handshake. The same keys at the same time on all nodes: see the mesh's
   * `ticketKeys` notice. At most 8 are kept.
   * @throws RangeError for a key of another length, or none.
   */
  setTicketKeys(keys: Uint8Array | readonly Uint8Array[]): void {
    this.#ticketKeys.set(listOf(keys));
    for (const listener of this.#listeners.values()) listener.renewTicketKeys();
  }

  /** The word of active health checks, by {@link HealthTarget} key. Unknown keys are ignored. */
  setOriginHealth(key: string, originId: string, healthy: boolean): void {
    const route = this.#gateway.table.routes.get(key);
    route?.pool?.setHealthy(originId, healthy);
    route?.placeFreed();
  }

  /**
   * Leaves service: accepts nothing new, lets requests finish, closes idle connections at once and
   * WebSockets with 1012 spread over `drain.tunnelSpreadMs`, and cuts what is left after
   * `drain.deadlineMs`. Never rejects; resolves to the number of connections that were cut.
   */
  async drain(): Promise<{ cut: number }> {
    if (this.#drain === undefined) {
      this.#gateway.draining = true;
      this.#closeListenersExcept([]);
      this.#drain = new Drain(
        {
          gateway: this.#gateway,
          connections: this.#connections,
          closeIdle: () => {
            for (const front of this.#fronts) front.closeIdle();
          },
        },
        this.#config.drain,
        performance.now(),
      );
      this.#drain.step(performance.now());
    }
    const result = await this.#drain.ended;
    this.#stop();
    return result;
  }

  /**
   * Accepts nothing new and waits, without limit, until what is open ends by itself: keep-alive
   * connections after their next answer or their idle time, everything else in its own time. A
   * {@link drain} may follow. Never rejects; resolves when no connection is left.
   */
  async retire(): Promise<void> {
    if (this.#retirement === undefined) {
      this.#gateway.draining = true;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#retirement = { listeners: [...this.#listeners.values()], resolve, ended: promise };
      this.#closeListenersExcept([]);
    }
    await this.#retirement.ended;
    this.#stop();
  }

  /** Closes everything now. */
  cut(): void {
    this.#closeListenersExcept([]);
    for (const connection of this.#connections) connection.socket?.destroy();
    for (const tunnel of this.#gateway.tunnels) tunnel.cut();
    this.#stop();
  }

  /** Plain data for status pages. */
  status(): EdgeStatus {
    const nowMs = performance.now();
    const sites = new Map<string, EdgeStatus['sites'][number]>();
    for (const route of this.#gateway.table.routes.values()) {
      const site = sites.get(route.host) ?? { host: route.host, routes: [] };
      sites.set(route.host, site);
      site.routes.push({
        path: route.pattern,
        requests: route.counts.byClass.reduce((sum, count) => sum + count, 0),
        origins: route.pool?.snapshot(nowMs) ?? [],
      });
    }
    return {
      draining: this.#gateway.draining,
      listeners: [...this.#listeners.keys()],
      connections: this.#connections.size,
      requestsInFlight: this.#gateway.active.size,
      tunnels: this.#gateway.tunnels.size,
      sites: [...sites.values()],
    };
  }

  /** Port of each listener, in the order of the configuration; tells what port 0 became. */
  ports(): number[] {
    return [...this.#listeners.values()].map((listener) => listener.port);
  }

  async #openListeners(wanted: readonly Listener[]): Promise<void> {
    const opened: EdgeListener[] = [];
    try {
      for (const listener of wanted) {
        const one = this.#makeListener(listener);
        await one.listen();
        opened.push(one);
      }
    } catch (error) {
      for (const one of opened) one.close();
      throw error;
    }
    for (const one of opened) {
      this.#listeners.set(one.name, one);
      // They may have changed since it was made.
      one.renewTicketKeys();
    }
  }

  #closeListenersExcept(wanted: readonly Listener[]): void {
    const byName = new Map(wanted.map((listener) => [formatListener(listener), listener]));
    for (const [name, listener] of this.#listeners) {
      const still = byName.get(name);
      if (still !== undefined) {
        listener.proxyProtocolFrom = still.proxyProtocolFrom;
      } else {
        listener.close();
        this.#listeners.delete(name);
      }
    }
  }

  #makeListener(listener: Listener): EdgeListener {
    return new EdgeListener({
      listener,
      socket: this.#socketFor(listener),
      certificates: () => this.#certificates,
      ticketKeys: this.#ticketKeys,
      tlsSessionS: () => tlsSessionS(this.#config),
      isTrusted: (address) => this.#gateway.isTrusted(address),
      headMs: () => this.#config.limits.headMs,
      admit: (address) => this.#admit(address),
      left: (connection) => {
        this.#clientLimit.leave(connection.source.address);
        this.#connections.delete(connection);
      },
      ready: (socket, connection) => {
        this.#connections.add(connection);
        (this.#fronts.at(-1) as HttpFront).accept(socket);
      },
      refused: (connection, refusal, detail) => this.#refused(connection, refusal, detail),
    });
  }

  #admit(address: string): Refusal | undefined {
    if (this.#clientLimit.enter(address)) return undefined;
    const isFull = this.#clientLimit.total >= this.#config.limits.connections;
    return isFull ? refusals.full : refusals.tooManyConnections;
  }

  #accessLogFor(config: Config): AccessLog {
    return new AccessLog(config.accessLog === 'off' ? null : this.#sink, nodeOf(config));
  }

  #makeFront(config: Config): HttpFront {
    return new HttpFront(config.limits, {
      exchange: (exchange) => this.#gateway.handle(exchange),
      refused: (connection, refusal, detail) => this.#refused(connection, refusal, detail),
    });
  }

  #refused(connection: ClientConnection, refusal: Refusal, detail: string): void {
    this.#gateway.record(undefined, accessRecordWithoutRequest(connection, refusal, detail));
  }

  #retire(routes: readonly Route[]): void {
    if (routes.length === 0) return;
    for (const route of routes) route.close();
    const deadlineMs = performance.now() + this.#config.drain.deadlineMs;
    this.#retired.add({ routes: new Set(routes), deadlineMs });
  }

  #sweep(nowMs: number): void {
    this.#sweeps += 1;
    const gateway = this.#gateway;
    for (const route of gateway.table.routes.values()) route.expireWaiters(nowMs);
    for (const forwarding of gateway.active) forwarding.sweep(nowMs);
    if (this.#sweeps % TUNNEL_SWEEP_EVERY === 0) {
      for (const tunnel of gateway.tunnels) tunnel.sweep(nowMs);
    }
    for (const retired of this.#retired) {
      for (const route of retired.routes) route.expireWaiters(nowMs);
      if (nowMs < retired.deadlineMs) continue;
      this.#retired.delete(retired);
      gateway.cutRoutes(retired.routes, nowMs);
    }
    this.#drain?.step(nowMs);
    if (this.#retirement !== undefined && this.#isEmpty(this.#retirement.listeners)) {
      this.#retirement.resolve();
    }
  }

  /** No connection is left, not even one in the middle of its TLS handshake. */
  #isEmpty(listeners: readonly EdgeListener[]): boolean {
    const unread = listeners.reduce((sum, listener) => sum + listener.unread, 0);
    return this.#clientLimit.total + unread === 0;
  }

  #stop(): void {
    clearInterval(this.#sweepTimer);
    for (const front of this.#fronts) front.dispose();
    for (const route of this.#gateway.table.routes.values()) route.close();
  }

  #metricsSource() {
    const gateway = this.#gateway;
    const connections = this.#connections;
    return {
      *routes() {
        yield { site: '', path: '', counts: gateway.unrouted };
        for (const { host, pattern, counts } of gateway.table.routes.values()) {
          yield { site: host, path: pattern, counts };
        }
      },
      *origins() {
        const nowMs = performance.now();
        for (const { host, pattern, pool } of gateway.table.routes.values()) {
          for (const origin of pool?.snapshot(nowMs) ?? []) {
            yield {
              ...origin,
              site: host,
              path: pattern,
              origin: origin.url,
              ejected: origin.ejectedForMs > 0,
            };
          }
        }
      },
      refused: () => gateway.refused,
      connections: () => connections.size,
      requestsInFlight: () => gateway.active.size,
    };
  }
}

function nodeOf(config: Config): string {
  return config.node ?? hostname();
}

/** A ticket may be as old as the time for which its key is sure to be known everywhere. */
function tlsSessionS({ mesh }: Config): number {
  return mesh === undefined ? LONE_TLS_SESSION_S : Math.floor(mesh.ticketKeyMs / 1_000);
}

function listOf(keys: Uint8Array | readonly Uint8Array[]): readonly Uint8Array[] {
  return keys instanceof Uint8Array ? [keys] : keys;
}

function listenersOf(config: Config): Listener[] {
  return [...config.vips, ...config.listen];
}

function clientLimitsOf({ limits }: Config): { perClient: number; total: number } {
  return { perClient: limits.connectionsPerClient, total: limits.connections };
}
