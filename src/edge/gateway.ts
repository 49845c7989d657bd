/** Decides what becomes of each request: refused, redirected, or carried to an origin. */
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { type AccessLog, type AccessRecord, accessRecordOf } from './access-log.ts';
import type { Exchange } from './exchange.ts';
import { Forwarding } from './forward.ts';
import { clientOf } from './forwarded.ts';
import {
  originForm,
  requestFramingFault,
  requestTargetFault,
  upgradeFramingFault,
} from './framing.ts';
import { fieldValue, originRequestHeaders } from './headers.ts';
import type { OriginState } from './origin-pool.ts';
import { mergedSlashes, normalizedPath } from './path.ts';
import { redirectLocation } from './redirect.ts';
import { type Refusal, refusalBody, refusals } from './refusal.ts';
import { Roster } from './roster.ts';
import type { Route, RoutingTable } from './route.ts';
import { RouteCounts } from './route-counts.ts';
import { hostWithoutPort } from './router.ts';
import { Tunnel, type TunnelOwner } from './tunnel.ts';

export interface GatewayOptions {
  /** Name of this node, for `Via` and `x-holdfast-node`. */
  readonly node: string;
  readonly log: Logger;
  readonly accessLog: AccessLog;
  readonly table: RoutingTable;
  /** Who may say for whom it asks. */
  readonly isTrusted: (address: string) => boolean;
}

export class Gateway {
  readonly node: string;
  /** The pseudonym of this hop (RFC 9110, 7.6.3). */
  readonly via: string;
  readonly log: Logger;
  readonly active = new Roster<Forwarding>();
  readonly tunnels = new Roster<Tunnel>();
  /** Counts of requests that no route answered for. */
  readonly unrouted = new RouteCounts();
  /** By code. */
  readonly refused = new Map<string, number>();
  table: RoutingTable;
  isTrusted: (address: string) => boolean;
  accessLog: AccessLog;
  draining = false;

  constructor(options: GatewayOptions) {
    this.node = options.node;
    this.via = `1.1 ${options.node}`;
    this.log = options.log;
    this.accessLog = options.accessLog;
    this.table = options.table;
    this.isTrusted = options.isTrusted;
  }

  handle(exchange: Exchange): void {
    const { request } = exchange;
    if (request.httpVersionMajor !== 1) return this.answer(exchange, refusals.version);
    if (exchange.expectsUnknown) return this.answer(exchange, refusals.expectation);
    const target = exchange.target;
    const fault =
      requestFramingFault(request.httpVersionMinor, exchange.rawHeaders) ??
      (exchange.isUpgrade ? upgradeFramingFault(exchange.rawHeaders) : undefined);
    if (fault !== undefined) return this.answer(exchange, refusals.framing, fault);
    const targetFault = requestTargetFault(exchange.method, target, request.headers.host);
    if (targetFault !== undefined) return this.answer(exchange, refusals.target, targetFault);
    const form = originForm(target);
    if (form === '*') return this.#answerServerOptions(exchange);
    const mark = form.indexOf('?');
    const path = normalizedPath(mark === -1 ? form : form.slice(0, mark));
    if (path === undefined)
      return this.answer(exchange, refusals.target, 'path has no one meaning');
    exchange.path = path;
    exchange.query = mark === -1 ? '' : form.slice(mark);
    if (exchange.connection.trusted) this.#believe(exchange);
    const route = this.table.router.match(hostWithoutPort(exchange.host), path);
    if (route === undefined) return this.answer(exchange, refusals.noRoute);
    this.#follow(exchange, route);
  }

  #follow(exchange: Exchange, route: Route): void {
    const { config } = route;
    const redirects = config.redirect !== undefined || route.redirectToHttps;
    if (redirects && exchange.host === '') {
      return this.answer(exchange, refusals.target, 'no host to redirect to', route);
    }
    if (route.redirectToHttps && !exchange.connection.tls) {
      const host = hostWithoutPort(exchange.host);
      const authority = host.includes(':') ? `[${host}]` : host;
      const location = `https://${authority}${exchange.path}${exchange.query}`;
      return this.#redirect(exchange, route, 308, location);
    }
    if (config.redirect !== undefined) {
      const location = redirectLocation(config.redirect.to, exchange);
      return this.#redirect(exchange, route, config.redirect.status, location);
    }
    const declared = Number(exchange.headers['content-length'] ?? 0);
    if (config.limits.bodyBytes > 0 && declared > config.limits.bodyBytes) {
      const detail = `${declared} bytes declared, limit ${config.limits.bodyBytes}`;
      return this.answer(exchange, refusals.largeBody, detail, route);
    }
    const strip = config.stripPrefix;
    if (strip !== undefined) exchange.path = withoutPrefix(exchange.path, strip);
    new Forwarding(this, exchange, route, this.#originHeaders(exchange, route)).start();
  }

  #originHeaders(exchange: Exchange, route: Route): string[] {
    const { connection } = exchange;
    const { host } = route.config;
    const clientHost = exchange.host;
    return originRequestHeaders(exchange.rawHeaders, {
      requestId: exchange.id,
      // With `host: origin` the origin's own is filled in once one is chosen.
      host: host === 'preserve' ? clientHost : host === 'origin' ? undefined : host.name,
      clientHost,
      proto: connection.tls ? 'https' : 'http',
      client: connection.source.address,
      forwarded: connection.forwardedFor(clientHost),
      peerTrusted: connection.trusted,
      via: this.via,
    });
  }

  /** A trusted proxy names its client and may have named the request. */
  #believe(exchange: Exchange): void {
    const raw = exchange.rawHeaders;
    exchange.clientAddress = clientOf(
      exchange.connection.source.address,
      exchange.headers['x-forwarded-for'] as string | undefined,
      exchange.headers.forwarded,
      this.isTrusted,
    ).address;
    const id = fieldValue(raw, 'x-request-id');
    if (id !== undefined && /^[\x21-\x7e]{1,128}$/.test(id)) exchange.adoptId(id);
  }

  /** RFC 9110, 9.3.7: `OPTIONS *` asks about the server, not about an origin. */
  #answerServerOptions(exchange: Exchange): void {
    exchange.respond(204, undefined, this.#ownHeaders(exchange), this.draining);
    exchange.end();
    this.#recordOwn(exchange, 204);
  }

  #redirect(exchange: Exchange, route: Route, status: number, location: string): void {
    const close = this.draining || exchange.hasBody;
    if (exchange.hasBody) exchange.lingerAfterAnswer();
    const headers = this.#ownHeaders(exchange);
    headers.push('location', location, 'content-length', '0');
    exchange.respond(status, undefined, headers, close);
    exchange.end();
    this.#recordOwn(exchange, status, undefined, undefined, route);
  }

  /** Refuses and records: for requests that never reached an origin. */
  answer(exchange: Exchange, refusal: Refusal, detail?: string, route?: Route): void {
    this.refuse(exchange, refusal, exchange.hasBody);
    this.#recordOwn(exchange, refusal.status, refusal, detail, route);
  }

  /** Sends a refusal. With a body still to come, the connection is read for a while and closed. */
  refuse(exchange: Exchange, refusal: Refusal, hasUnreadBody: boolean): void {
    const unread = hasUnreadBody && !exchange.request.complete;
    const close = this.draining || refusal.closes === true || unread || exchange.isUpgrade;
    if (unread) exchange.lingerAfterAnswer();
    const body = refusalBody(refusal, exchange.id);
    const headers = this.#ownHeaders(exchange);
    headers.push('content-type', 'text/plain; charset=utf-8');
    headers.push('content-length', String(Buffer.byteLength(body)));
    if (refusal.headers !== undefined) headers.push(...refusal.headers);
    exchange.respond(refusal.status, undefined, headers, close);
    exchange.end(body);
  }

  /** Takes both sockets of an accepted upgrade and lets bytes flow. */
  openTunnel(upgrade: AcceptedUpgrade): void {
    const { exchange, route, originSocket } = upgrade;
    const client = exchange.detach();
    const tunnel = new Tunnel({
      client,
      origin: originSocket,
      route,
      idleMs: route.config.timeouts.tunnelIdleMs,
      nowMs: performance.now(),
      owner: new TunnelKeeper(this, upgrade),
    });
    this.tunnels.add(tunnel);
    route.counts.tunnels += 1;
    route.counts.tunnelsOpen += 1;
    const pending = (client.read() as Buffer | null) ?? Buffer.alloc(0);
    const fromClient = Buffer.concat([exchange.upgradeHead ?? Buffer.alloc(0), pending]);
    tunnel.begin(switchingHead(upgrade.headers), fromClient, upgrade.early);
  }

  /** Ends what still runs on these routes; WebSockets are asked to close first. */
  cutRoutes(routes: ReadonlySet<Route>, nowMs: number): void {
    for (const forwarding of this.active) if (routes.has(forwarding.route)) forwarding.cut();
    for (const tunnel of this.tunnels) if (routes.has(tunnel.route)) tunnel.close(nowMs);
  }

  record(route: Route | undefined, record: AccessRecord): void {
    const counts = route?.counts ?? this.unrouted;
    counts.done(record.status, record.durationMs, record.bytesIn, record.bytesOut);
    this.count(record.code);
    this.accessLog.write(record);
  }

  count(code: string | undefined): void {
    if (code !== undefined) this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
  }

  #recordOwn(
    exchange: Exchange,
    status: number,
    refusal?: Refusal,
    detail?: string,
    route?: Route,
  ): void {
    const record = accessRecordOf(exchange, route?.key, status, 'answered');
    record.durationMs = performance.now() - exchange.startedMs;
    if (refusal !== undefined) {
      record.code = refusal.code;
      if (refusal.limit !== undefined) record.limit = refusal.limit;
    }
    if (detail !== undefined) record.detail = detail;
    this.record(route, record);
  }

  #ownHeaders(exchange: Exchange): string[] {
    return ['via', this.via, 'x-holdfast-node', this.node, 'x-request-id', exchange.id];
  }
}

export interface AcceptedUpgrade {
  readonly exchange: Exchange;
  readonly route: Route;
  readonly origin: OriginState;
  readonly originSocket: Socket;
  /** Bytes of the origin behind the head of its answer. */
  readonly early: Buffer;
  /** Of the answer, without those about the connection alone. */
  readonly headers: readonly string[];
  readonly record: AccessRecord;
}

/** Keeps what a tunnel's end needs, and nothing of the request that began it: tunnels live long. */
class TunnelKeeper implements TunnelOwner {
  readonly #gateway: Gateway;
  readonly #route: Route;
  readonly #origin: OriginState;
  readonly #record: AccessRecord;
  readonly #connection: Exchange['connection'];
  readonly #startedMs: number;

  constructor(gateway: Gateway, upgrade: AcceptedUpgrade) {
    this.#gateway = gateway;
    this.#route = upgrade.route;
    this.#origin = upgrade.origin;
    this.#record = upgrade.record;
    this.#connection = upgrade.exchange.connection;
    this.#startedMs = upgrade.exchange.startedMs;
  }

  tunnelEnded(
    tunnel: Tunnel,
    outcome: AccessRecord['outcome'],
    bytesIn: number,
    bytesOut: number,
  ): void {
    this.#gateway.tunnels.delete(tunnel);
    this.#route.counts.tunnelsOpen -= 1;
    this.#route.pool?.release(this.#origin);
    this.#route.placeFreed();
    this.#connection.closed();
    const record = this.#record;
    record.outcome = outcome;
    record.bytesIn = bytesIn;
    record.bytesOut = bytesOut;
    record.durationMs = performance.now() - this.#startedMs;
    this.#gateway.record(this.#route, record);
  }
}

function switchingHead(headers: readonly string[]): string {
  let head = 'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n';
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === 'connection') continue;
    head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  }
  return `${head}\r\n`;
}

/** `//api/x` was matched as `/api/x`, so that is what the prefix is taken from. */
function withoutPrefix(sentPath: string, prefix: string): string {
  const path = mergedSlashes(sentPath);
  const bare = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  if (!path.startsWith(bare)) return path;
  const rest = path.slice(bare.length);
  if (rest === '') return '/';
  return rest.startsWith('/') ? rest : path;
}
