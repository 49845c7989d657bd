/** A configured route at work: its origins, its queue and its counts. */
import type { Origin } from '../config/origin.ts';
import type { Config, HealthConfig, RouteConfig, SiteConfig } from '../config/schema.ts';
import type { Exchange } from './exchange.ts';
import { OriginLink } from './origin-link.ts';
import { OriginPool } from './origin-pool.ts';
import { RetryBudget } from './retry-budget.ts';
import { RouteCounts } from './route-counts.ts';
import { Router } from './router.ts';
import { WaitQueue } from './wait-queue.ts';

/** What waits for a free place at an origin. */
export interface Waiter {
  readonly exchange: Exchange;
  /** A place may be free. False when there is none: it goes on waiting, and so do those behind. */
  proceed(): boolean;
  /** The wait was too long. */
  expire(): void;
}

export class Route {
  /** Site and path pattern; stable over reloads. */
  readonly key: string;
  readonly host: string;
  readonly pattern: string;
  readonly config: RouteConfig;
  readonly redirectToHttps: boolean;
  /** Undefined for a redirect. */
  readonly pool: OriginPool | undefined;
  readonly budget: RetryBudget;
  readonly queue: WaitQueue<Waiter>;
  readonly counts = new RouteCounts();
  readonly #links: OriginLink[];
  readonly #signature: string;
  #advanceIsDue = false;

  constructor(host: string, pattern: string, site: SiteConfig, config: RouteConfig) {
    this.key = routeKey(host, pattern);
    this.host = host;
    this.pattern = pattern;
    this.config = config;
    this.redirectToHttps = site.redirectToHttps;
    this.#signature = signatureOf(site, config);
    const origins = config.to ?? [];
    this.pool =
      origins.length === 0
        ? undefined
        : new OriginPool({
            origins,
            balance: config.balance,
            ejection: config.ejection,
            connectionsPerOrigin: config.limits.connectionsPerOrigin,
            random: Math.random,
            ...(config.sticky === undefined ? {} : { sticky: config.sticky }),
          });
    this.#links = origins.map((origin) => new OriginLink(origin, config));
    this.budget = new RetryBudget(config.retry.budgetRatio);
    this.queue = new WaitQueue<Waiter>(config.limits.queue);
  }

  link(originIndex: number): OriginLink {
    return this.#links[originIndex] as OriginLink;
  }

  /** True when a new configuration of this route means the same. */
  means(site: SiteConfig, config: RouteConfig): boolean {
    return this.#signature === signatureOf(site, config);
  }

  /** Lets the queue move after a place became free: once, however many became free together. */
  placeFreed(): void {
    if (this.queue.size === 0 || this.#advanceIsDue) return;
    this.#advanceIsDue = true;
    setImmediate(() => this.#advance());
  }

  #advance(): void {
    this.#advanceIsDue = false;
    while (this.queue.peek()?.proceed() === true) {
      // Each that proceeds has left the queue.
    }
  }

  expireWaiters(nowMs: number): void {
    if (this.queue.size === 0) return;
    for (const waiter of this.queue.expire(nowMs)) waiter.expire();
  }

  /** Ends idle connections to origins; running exchanges finish. */
  close(): void {
    for (const link of this.#links) link.close();
  }
}

/** All routes of one configuration. */
export class RoutingTable {
  readonly routes: ReadonlyMap<string, Route>;
  readonly router: Router<Route>;

  /** Routes that mean the same as before are taken over, with everything that runs on them. */
  constructor(config: Config, previous?: RoutingTable) {
    const routes = new Map<string, Route>();
    const sites: Record<string, Record<string, Route>> = {};
    for (const [host, site] of Object.entries(config.sites)) {
      const bySite: Record<string, Route> = {};
      for (const [pattern, routeConfig] of Object.entries(site.routes)) {
        const before = previous?.routes.get(routeKey(host, pattern));
        const route = before?.means(site, routeConfig)
          ? before
          : new Route(host, pattern, site, routeConfig);
        if (before !== undefined && before !== route) inheritHealth(before, route);
        bySite[pattern] = route;
        routes.set(route.key, route);
      }
      sites[host] = bySite;
    }
    this.routes = routes;
    this.router = new Router(sites);
  }

  /** Routes of the other table that are not part of this one. */
  retiredFrom(previous: RoutingTable): Route[] {
    return [...previous.routes.values()].filter((route) => this.routes.get(route.key) !== route);
  }
}

/** An origin to check, and under which name its health is reported. */
export interface HealthTarget {
  readonly key: string;
  readonly origin: Origin;
  readonly health: HealthConfig;
}

/** Everything that a configuration asks to be checked actively. */
export function healthTargetsOf(config: Config): HealthTarget[] {
  const targets: HealthTarget[] = [];
  for (const [host, site] of Object.entries(config.sites)) {
    for (const [pattern, route] of Object.entries(site.routes)) {
      if (route.health === undefined) continue;
      for (const origin of route.to ?? []) {
        targets.push({ key: routeKey(host, pattern), origin, health: route.health });
      }
    }
  }
  return targets;
}

export function routeKey(host: string, pattern: string): string {
  return `${host} ${pattern}`;
}

function signatureOf(site: SiteConfig, config: RouteConfig): string {
  return JSON.stringify([site.redirectToHttps, config]);
}

function inheritHealth(before: Route, after: Route): void {
  for (const origin of before.pool?.origins ?? [])
    after.pool?.setHealthy(origin.id, origin.healthy);
}
