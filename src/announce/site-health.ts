/** Which sites have an origin to ask. A core without IO. */
import type { Config } from '../config/schema.ts';

/** What a node's edge says of itself to what decides the announcement. */
export interface EdgeReport {
  /** At least one worker serves. */
  readonly accepting: boolean;
  /** Sites that matter to the announcement. */
  readonly sites: readonly {
    readonly host: string;
    readonly healthy: boolean;
    readonly whenUnhealthy: 'degrade' | 'withdraw';
  }[];
}

/**
 * A site is well while any of its origins is, or while it has none that is checked: redirects need
 * no origin, and of those without health checks the best is believed.
 * @param isHealthy The word of the active health checks.
 */
export function edgeReport(
  config: Config,
  accepting: boolean,
  isHealthy: (host: string, pattern: string, originId: string) => boolean,
): EdgeReport {
  const sites: EdgeReport['sites'][number][] = [];
  for (const [host, { routes, whenUnhealthy }] of Object.entries(config.sites)) {
    if (whenUnhealthy === 'ignore') continue;
    const origins = Object.entries(routes).flatMap(([pattern, { to = [] }]) =>
      to.map(({ id }) => isHealthy(host, pattern, id)),
    );
    const healthy = origins.length === 0 || origins.includes(true);
    sites.push({ host, healthy, whenUnhealthy });
  }
  return { accepting, sites };
}
