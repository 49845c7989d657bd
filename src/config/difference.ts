/** What a new configuration changes, in the words that `holdfast reload` prints. A core without IO. */
import { isDeepStrictEqual } from 'node:util';
import { formatListener, type Listener } from './listener.ts';
import type { Config } from './schema.ts';

export interface Change {
  readonly kind: 'added' | 'changed' | 'removed';
  /** `listener https://:443`, `route app.example.com/ws/*`, `tls app.example.com`, `limits`. */
  readonly what: string;
  /** True when it takes effect only when the node is started again. */
  readonly restart?: true;
}

/** Listeners first, then sites and routes, then other settings; empty when nothing differs. */
export function configDifference(before: Config, after: Config): Change[] {
  return [
    ...compared('listener ', listenersOf(before), listenersOf(after)),
    ...compared('', sitesOf(before), sitesOf(after)),
    ...compared('', settingsOf(before), settingsOf(after)).map((change) =>
      needsRestart(change.what) ? { ...change, restart: true as const } : change,
    ),
  ];
}

/** Names are given once to everything that runs. */
function needsRestart(setting: string): boolean {
  return setting === 'node' || setting === 'pop';
}

function compared(
  prefix: string,
  before: ReadonlyMap<string, unknown>,
  after: ReadonlyMap<string, unknown>,
): Change[] {
  const changes: Change[] = [];
  for (const [name, value] of after) {
    const what = prefix + name;
    if (!before.has(name)) changes.push({ kind: 'added', what });
    else if (!isDeepStrictEqual(before.get(name), value)) changes.push({ kind: 'changed', what });
  }
  for (const name of before.keys()) {
    if (!after.has(name)) changes.push({ kind: 'removed', what: prefix + name });
  }
  return changes;
}

function listenersOf(config: Config): Map<string, Listener> {
  const all = [...config.vips, ...config.listen];
  return new Map(all.map((listener) => [formatListener(listener), listener]));
}

function sitesOf(config: Config): Map<string, unknown> {
  const parts = new Map<string, unknown>();
  for (const [host, site] of Object.entries(config.sites)) {
    const { routes, tls, ...rest } = site;
    parts.set(`site ${host}`, rest);
    if (tls !== undefined) parts.set(`tls ${host}`, tls);
    for (const [path, route] of Object.entries(routes)) parts.set(`route ${host}${path}`, route);
  }
  return parts;
}

/** Top-level keys that are neither listeners nor sites. */
function settingsOf(config: Config): Map<string, unknown> {
  const { vips: _vips, listen: _listen, sites: _sites, ...settings } = config;
  return new Map(Object.entries(settings).filter(([, value]) => value !== undefined));
}
