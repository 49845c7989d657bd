/** Reads a node's configuration and checks all of it. */
import type { CheckFinding } from '../config/checks.ts';
import { type LoadedConfig, type LoadOptions, loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { RoutePatternError, Router } from '../edge/router.ts';

/** Where a configuration comes from; read again by every reload. */
export interface ConfigOrigin {
  /** `undefined` when everything comes from flags. */
  readonly file: string | undefined;
  readonly overrides: NonNullable<LoadOptions['overrides']>;
}

/** Reads a configuration and checks all of it, route patterns included. Throws {@link ConfigError}. */
export function loadNodeConfig(origin: ConfigOrigin): LoadedConfig {
  return loadConfig(origin.file, { overrides: origin.overrides, check: checkRoutePatterns });
}

/** What the router says of each host and pattern. */
export function checkRoutePatterns(config: Config): CheckFinding[] {
  const findings: CheckFinding[] = [];
  const attempt = (path: string[], sites: Record<string, Record<string, true>>): void => {
    try {
      new Router(sites);
    } catch (error) {
      if (!(error instanceof RoutePatternError)) throw error;
      findings.push({ path, message: error.message, warning: false });
    }
  };
  const all: Record<string, Record<string, true>> = {};
  for (const [host, { routes }] of Object.entries(config.sites)) {
    const before = findings.length;
    attempt(['sites', host], { [host]: {} });
    if (findings.length > before) continue;
    for (const pattern of Object.keys(routes)) {
      attempt(['sites', host, 'routes', pattern], { [host]: { [pattern]: true } });
    }
    all[host] = Object.fromEntries(Object.keys(routes).map((pattern) => [pattern, true as const]));
  }
  // What is right alone may still clash with its neighbour.
  if (findings.length === 0) attempt(['sites'], all);
  return findings;
}
