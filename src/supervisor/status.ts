/** The state of a node: what its workers say, added up. A core without IO. */
import type { OlderRelease } from './upgrade-messages.ts';

export interface OriginStatus {
  readonly id: string;
  readonly url: string;
  readonly healthy: boolean;
  /** Milliseconds until it is used again; 0 when it is not ejected. */
  readonly ejectedForMs: number;
  readonly inFlight: number;
  readonly consecutiveFailures: number;
  readonly requests: number;
  readonly failures: number;
  readonly ejections: number;
}

export interface RouteStatus {
  readonly path: string;
  readonly requests: number;
  readonly origins: readonly OriginStatus[];
}

export interface SiteStatus {
  readonly host: string;
  readonly routes: readonly RouteStatus[];
}

/** What one worker says of itself; the edge's own status has this shape. */
export interface WorkerStatus {
  readonly draining: boolean;
  readonly connections: number;
  readonly requestsInFlight: number;
  readonly tunnels: number;
  readonly sites: readonly SiteStatus[];
}

export type WorkerState =
  | 'starting'
  | 'up'
  /** Crashed, and waiting for its replacement to be started. */
  | 'restarting'
  | 'draining'
  /** Up, but it did not answer in time. */
  | 'silent';

export interface WorkerLine {
  /** From 0; a replacement keeps the number. */
  readonly slot: number;
  readonly pid: number | null;
  readonly state: WorkerState;
  readonly uptimeMs: number;
  /** Crashes since the node's start. */
  readonly crashes: number;
  readonly connections: number;
  readonly requestsInFlight: number;
  readonly tunnels: number;
}

export interface NodeStatus {
  readonly state: 'starting' | 'running' | 'draining';
  /** What is not as it should be; empty when all is well. */
  readonly degraded: readonly string[];
  readonly version: string;
  readonly node: string;
  readonly pop: string;
  readonly pid: number;
  readonly uptimeMs: number;
  readonly config: {
    /** `null` when everything came from flags. */
    readonly file: string | null;
    /** ISO 8601. */
    readonly loadedAt: string;
    /** Why the last reload was refused; `null` when it was not. */
    readonly refused: string | null;
  };
  readonly listeners: readonly string[];
  /** These three with those of older releases. */
  readonly connections: number;
  readonly requestsInFlight: number;
  readonly tunnels: number;
  /** Of this release. */
  readonly workers: readonly WorkerLine[];
  /** Releases that this one replaced and that still have sessions, the newest first. */
  readonly older: readonly OlderRelease[];
  readonly sites: readonly SiteStatus[];
}

/** Adds up what the workers say of each site. Health is the worst that any of them sees. */
export function mergedSites(all: readonly (readonly SiteStatus[])[]): SiteStatus[] {
  return merged(
    all,
    (site) => site.host,
    (host, sites) => ({
      host,
      routes: merged(
        sites.map((site) => site.routes),
        (route) => route.path,
        (path, routes) => ({
          path,
          requests: sum(routes, (route) => route.requests),
          origins: merged(
            routes.map((route) => route.origins),
            (origin) => origin.id,
            (_, origins) => mergedOrigin(origins),
          ),
        }),
      ),
    }),
  );
}

function mergedOrigin(origins: readonly OriginStatus[]): OriginStatus {
  const first = origins[0] as OriginStatus;
  return {
    id: first.id,
    url: first.url,
    healthy: origins.every((origin) => origin.healthy),
    ejectedForMs: Math.max(...origins.map((origin) => origin.ejectedForMs)),
    inFlight: sum(origins, (origin) => origin.inFlight),
    consecutiveFailures: Math.max(...origins.map((origin) => origin.consecutiveFailures)),
    requests: sum(origins, (origin) => origin.requests),
    failures: sum(origins, (origin) => origin.failures),
    ejections: sum(origins, (origin) => origin.ejections),
  };
}

/** What is not as it should be, in words. */
export function degradations(
  workers: readonly WorkerLine[],
  sites: readonly SiteStatus[],
): string[] {
  const reasons: string[] = [];
  for (const worker of workers) {
    if (worker.state !== 'up') reasons.push(`worker ${worker.slot} is ${worker.state}`);
  }
  for (const { host, routes } of sites) {
    for (const { path, origins } of routes) {
      for (const origin of origins) {
        if (!origin.healthy) reasons.push(`origin ${origin.url} of ${host}${path} is unhealthy`);
        else if (origin.ejectedForMs > 0) {
          reasons.push(`origin ${origin.url} of ${host}${path} is ejected`);
        }
      }
    }
  }
  return reasons;
}

/** Groups the items of several lists by name, in the order in which names first appear. */
function merged<T, R>(
  lists: readonly (readonly T[])[],
  nameOf: (item: T) => string,
  merge: (name: string, items: T[]) => R,
): R[] {
  const groups = new Map<string, T[]>();
  for (const item of lists.flat()) {
    const name = nameOf(item);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [item]);
    else group.push(item);
  }
  return [...groups].map(([name, items]) => merge(name, items));
}

export function sum<T>(items: readonly T[], amount: (item: T) => number): number {
  return items.reduce((total, item) => total + amount(item), 0);
}
