/**
 * What the schema cannot see: values that are right alone and wrong together. A core without IO.
 */
import ipaddr from 'ipaddr.js';
import { formatHostPort, parseHostPort } from './address.ts';
import { formatListener, type Listener } from './listener.ts';
import type { ConfigPath } from './problem.ts';
import type { Config, RouteConfig, SiteConfig } from './schema.ts';

export interface CheckFinding {
  readonly path: ConfigPath;
  readonly message: string;
  /** Warnings do not stop the configuration from being used. */
  readonly warning: boolean;
}

/** A further check that belongs to another room, such as the router's own of its patterns. */
export type ConfigCheck = (config: Config) => readonly CheckFinding[];

/** What a configuration is read for: serving (`run`), or healing another server's sessions. */
export type Purpose = 'edge' | 'agent';

/** Everything wrong or doubtful about a configuration that the schema has accepted. */
export function checkConfig(config: Config, purpose: Purpose = 'edge'): CheckFinding[] {
  if (purpose === 'agent') {
    return [...checkHealing(config, purpose), ...checkAdmin(config), ...checkAnnounce(config)];
  }
  return [
    ...checkListeners(config),
    ...checkAdmin(config),
    ...checkDrain(config),
    ...checkSites(config),
    ...checkHealing(config, purpose),
    ...checkAnnounce(config),
  ];
}

/** Healing takes a mesh, a datapath and an address that clients call. A mesh alone shares keys. */
function checkHealing({ mesh, datapath, vips }: Config, purpose: Purpose): CheckFinding[] {
  if (mesh === undefined && datapath === undefined) {
    if (purpose === 'edge') return [];
    return [error([], 'nothing to heal with: add "mesh", "datapath" and "vips"')];
  }
  if (mesh === undefined) {
    return [error(['datapath'], 'needs "mesh": without other nodes there is nowhere to relay to')];
  }
  if (datapath === undefined) {
    if (purpose === 'agent') {
      return [error(['mesh'], 'needs "datapath": the nodes of a mesh relay for each other')];
    }
    if (vips.length === 0) return [];
    const lack =
      'sessions on the VIPs are not healed without "datapath": the nodes share keys only';
    return [warning(['mesh'], lack)];
  }
  const findings: CheckFinding[] = checkFamilies(mesh);
  if (canonical(parseHostPort(mesh.listen).host) !== canonical(datapath.underlay)) {
    findings.push(
      error(
        ['mesh', 'listen'],
        `must be on the underlay address ${datapath.underlay}: other nodes send packets where the mesh says the node is`,
      ),
    );
  }
  if (vips.length === 0) {
    findings.push(error(['datapath'], 'needs "vips": the addresses whose sessions are healed'));
  }
  for (const [i, vip] of vips.entries()) {
    if (!ipaddr.isValid(vip.host) || ['', '::', '0.0.0.0'].includes(vip.host)) {
      findings.push(
        error(['vips', i], 'must name one address, so that its sessions can be healed'),
      );
    }
  }
  return findings;
}

/** One socket carries the mesh, and one tunnel the packets: neither knows both kinds of addresses. */
function checkFamilies(mesh: NonNullable<Config['mesh']>): CheckFinding[] {
  const { host } = parseHostPort(mesh.listen);
  if (!ipaddr.isValid(host)) return [];
  const kind = ipaddr.parse(host).kind();
  const ip = { ipv4: 'IPv4', ipv6: 'IPv6' }[kind];
  return (mesh.join ?? []).flatMap((address, i) => {
    const other = parseHostPort(address).host;
    if (!ipaddr.isValid(other) || ipaddr.parse(other).kind() === kind) return [];
    const text = `must be an ${ip} address, as mesh.listen is: all nodes of a mesh use one kind`;
    return [error(['mesh', 'join', i], text)];
  });
}

/** Announcing needs something to announce, and somebody to heal what then arrives elsewhere. */
function checkAnnounce({ announce, mesh, datapath }: Config): CheckFinding[] {
  if (announce === undefined) return [];
  const findings: CheckFinding[] = [];
  if (mesh === undefined || datapath === undefined) {
    findings.push(
      error(
        ['announce'],
        'needs "mesh", "datapath" and "vips": an agent decides what is announced',
      ),
    );
  }
  const { driver, drain } = announce;
  for (const each of ['exabgp', 'exec'] as const) {
    const path = ['announce', each];
    if (driver === each && announce[each] === undefined) {
      findings.push(error(['announce'], `the driver "${each}" needs "${each}"`));
    } else if (driver !== each && announce[each] !== undefined) {
      findings.push(warning(path, `is never used: the driver is "${driver}"`));
    }
  }
  if (drain.convergeMs > drain.deadlineMs) {
    findings.push(
      warning(
        ['announce', 'drain', 'convergeMs'],
        `is longer than deadlineMs (${drain.deadlineMs}): the route is withdrawn then already`,
      ),
    );
  }
  return findings;
}

function error(path: ConfigPath, message: string): CheckFinding {
  return { path, message, warning: false };
}

function warning(path: ConfigPath, message: string): CheckFinding {
  return { path, message, warning: true };
}

interface Bound {
  readonly path: ConfigPath;
  readonly listener: Listener;
}

function boundOf(config: Config): Bound[] {
  const list = (key: 'vips' | 'listen'): Bound[] =>
    config[key].map((listener, i) => ({ path: [key, i], listener }));
  return [...list('vips'), ...list('listen')];
}

function checkListeners(config: Config): CheckFinding[] {
  const bound = boundOf(config);
  if (bound.length === 0) {
    return [error([], 'nothing to listen on: add "listen", for example listen: [":8080"]')];
  }
  const findings: CheckFinding[] = [];
  const certified = Object.values(config.sites).some((site) => site.tls !== undefined);
  for (const [i, { path, listener }] of bound.entries()) {
    const earlier = bound.slice(0, i).find((other) => overlaps(other.listener, listener));
    if (earlier !== undefined) {
      const text = formatListener(listener);
      const other = formatListener(earlier.listener);
      findings.push(
        error(
          path,
          text === other ? `${text} is listed twice` : `${text} is already covered by ${other}`,
        ),
      );
    }
    if (listener.tls && !certified) {
      findings.push(
        error(
          path,
          `${formatListener(listener)} needs a certificate: give a site "tls: {cert, key}", or write http://${formatHostPort(listener)}`,
        ),
      );
    }
  }
  return findings;
}

/** Whether the kernel would refuse to bind both. */
function overlaps(a: Listener, b: Listener): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const [first, second] = [canonical(a.host), canonical(b.host)];
  if (first === second) return true;
  const anyOf = (host: string, other: string) =>
    host === '::' || (host === '0.0.0.0' && !other.includes(':'));
  return anyOf(first, second) || anyOf(second, first);
}

/** One spelling per address. Every address ("") is `::`, which takes IPv4, too. */
function canonical(host: string): string {
  if (host === '') return '::';
  return ipaddr.isValid(host) ? ipaddr.process(host).toString() : host;
}

function checkAdmin(config: Config): CheckFinding[] {
  const { admin } = config;
  if (admin === null) return [];
  const findings: CheckFinding[] = [];
  if (admin.tls) {
    findings.push(error(['admin'], 'speaks plain http: write the address without https://'));
  }
  const clash = boundOf(config).find((bound) => overlaps(bound.listener, admin));
  if (clash !== undefined) {
    const text = formatListener(clash.listener);
    findings.push(error(['admin'], `is the same address as ${text}: choose another port`));
  }
  if (!isLoopback(admin.host)) {
    findings.push(
      warning(
        ['admin'],
        'is reachable from other machines and asks for no password: keep it on 127.0.0.1 or guard it with a firewall',
      ),
    );
  }
  return findings;
}

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true;
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback';
}

function checkDrain({ drain }: Config): CheckFinding[] {
  if (drain.tunnelSpreadMs <= drain.deadlineMs) return [];
  return [
    warning(
      ['drain', 'tunnelSpreadMs'],
      `is longer than deadlineMs (${drain.deadlineMs}): WebSockets still open then are cut, not closed`,
    ),
  ];
}

function checkSites(config: Config): CheckFinding[] {
  const findings: CheckFinding[] = [];
  const sites = Object.entries(config.sites);
  const https = boundOf(config).some(({ listener }) => listener.tls);
  if (sites.length === 0) {
    findings.push(warning(['sites'], 'is empty: every request will be answered 404'));
  }
  for (const [host, site] of sites) {
    const path = ['sites', host];
    if (site.tls !== undefined && !https) {
      findings.push(
        warning([...path, 'tls'], 'is never used: no listener speaks https (write https://:8443)'),
      );
    }
    if (site.redirectToHttps && (site.tls === undefined || !https)) {
      findings.push(
        warning(
          [...path, 'redirectToHttps'],
          site.tls === undefined
            ? 'sends clients to https, but the site has no "tls"'
            : 'sends clients to https, but no listener speaks it',
        ),
      );
    }
    findings.push(...checkRoutes(path, site));
  }
  return findings;
}

function checkRoutes(path: ConfigPath, site: SiteConfig): CheckFinding[] {
  const routes = Object.entries(site.routes);
  if (routes.length === 0) {
    return [
      warning([...path, 'routes'], 'is empty: every request of this site will be answered 404'),
    ];
  }
  return routes.flatMap(([pattern, route]) => checkRoute([...path, 'routes', pattern], route));
}

function checkRoute(path: ConfigPath, route: RouteConfig): CheckFinding[] {
  const findings: CheckFinding[] = [];
  const seen = new Map<string, string>();
  for (const [i, origin] of (route.to ?? []).entries()) {
    const other = seen.get(origin.id);
    if (other !== undefined) {
      findings.push(
        error(
          [...path, 'to', i],
          other === origin.url
            ? `${origin.url} is listed twice`
            : `the id "${origin.id}" is already that of ${other}`,
        ),
      );
    }
    seen.set(origin.id, origin.url);
  }
  if (route.health !== undefined && route.to === undefined) {
    findings.push(warning([...path, 'health'], 'is never used: a redirect has no origins'));
  }
  if (route.health !== undefined && route.health.timeoutMs > route.health.intervalMs) {
    findings.push(
      warning(
        [...path, 'health', 'timeoutMs'],
        `is longer than intervalMs (${route.health.intervalMs}): a slow origin is checked less often`,
      ),
    );
  }
  if (route.ejection.baseMs > route.ejection.maxMs) {
    findings.push(
      error(
        [...path, 'ejection', 'baseMs'],
        `is longer than maxMs (${route.ejection.maxMs}), the longest ejection`,
      ),
    );
  }
  return findings;
}
