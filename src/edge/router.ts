/**
 * Finds the route of a request by host and path. A core; built once per configuration.
 *
 * **Host**: the exact name wins, then the longest `*.suffix` (one or more labels in place of the
 * star), then `*`. The host alone decides the site: when none of its paths match, the answer is
 * "no route". Falling through to another site would let a path that an operator left out of one
 * site be served by another.
 *
 * **Path**: `/healthz` matches itself only; `/api/*` matches `/api`, `/api/` and all below; a `*`
 * as a whole segment before the end matches exactly one segment that is not empty. The most exact
 * wins, in this total order: a pattern without star; then, segment by segment from the left, a
 * literal before a `*` before the `/*` at the end. So the longest literal beginning decides first,
 * `/a/*` comes before a pattern that begins with a star. Empty segments are skipped (`//api` is found
 * at `/api/*`), so that an origin which merges slashes cannot be reached around a route.
 */
import { HoldfastError } from '../errors.ts';
import { hostFault } from './framing.ts';
import { mergedSlashes, normalizedPath } from './path.ts';

/** RFC 1035 section 2.3.4. A longer host is looked up only exactly, which bounds the work on it. */
const HOST_LENGTH_MAX = 253;

/** A host or path pattern in the configuration that cannot be matched. `ERR_ROUTE_PATTERN`. */
export class RoutePatternError extends HoldfastError {
  constructor(message: string) {
    super(message, { code: 'ERR_ROUTE_PATTERN', source: 'usage', retryable: false });
  }
}

/** One segment of the patterns of a site. */
interface PatternNode<T> {
  literals: Map<string, PatternNode<T>> | undefined;
  star: PatternNode<T> | undefined;
  /** Value of the pattern that ends here. */
  value: T | undefined;
  /** Value of the pattern that goes on with `/*` from here. */
  rest: T | undefined;
}

interface Site<T> {
  /** As the user wrote it. */
  readonly key: string;
  readonly exact: Map<string, T>;
  readonly root: PatternNode<T>;
  /** False when `/*` is all there is beside `exact`. */
  readonly hasTree: boolean;
}

export class Router<T> {
  readonly #exact = new Map<string, Site<T>>();
  /** By suffix, without `*.`. */
  readonly #wildcards = new Map<string, Site<T>>();
  #fallback: Site<T> | undefined;

  /**
   * @param sites Host pattern → path pattern → value. Values must not be `undefined`.
   * Throws {@link RoutePatternError} for a pattern that could never match or matches by surprise.
   */
  constructor(sites: Readonly<Record<string, Readonly<Record<string, T>>>>) {
    for (const [key, routes] of Object.entries(sites)) {
      const site = siteOf(key, routes);
      if (key === '*') {
        this.#fallback = site;
        continue;
      }
      const isWildcard = key.startsWith('*.');
      const name = checkedHost(key, isWildcard ? key.slice(2) : key);
      const map = isWildcard ? this.#wildcards : this.#exact;
      const other = map.get(name);
      if (other !== undefined) {
        throw new RoutePatternError(`sites "${other.key}" and "${key}" are the same: keep one`);
      }
      map.set(name, site);
    }
  }

  /**
   * The value of the most exact route, or `undefined`.
   * @param host As {@link hostWithoutPort} gives it.
   * @param path As `normalizedPath` gives it, without query.
   */
  match(host: string, path: string): T | undefined {
    const site = this.#site(host);
    if (site === undefined) return undefined;
    const merged = mergedSlashes(path);
    if (site.exact.size !== 0) {
      const exact = site.exact.get(merged);
      if (exact !== undefined) return exact;
    }
    return site.hasTree ? find(site.root, merged, 1) : site.root.rest;
  }

  /** The key of the site that serves a host, as the user wrote it, or `undefined`. */
  matchSite(host: string): string | undefined {
    return this.#site(host)?.key;
  }

  #site(host: string): Site<T> | undefined {
    const exact = this.#exact.get(host);
    if (exact !== undefined) return exact;
    if (this.#wildcards.size !== 0 && host.length <= HOST_LENGTH_MAX) {
      for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
        // The star stands for at least one character: `.example.com` is no host.
        if (dot === 0) continue;
        const site = this.#wildcards.get(host.slice(dot + 1));
        if (site !== undefined) return site;
      }
    }
    return this.#fallback;
  }
}

/**
 * A Host header (or TLS server name) in the form that {@link Router} matches: lower case, without
 * port, without the dot of a fully qualified name, IPv6 without brackets. Gives the same string
 * back when it already is. Does not validate: see `hostFault`.
 */
export function hostWithoutPort(hostHeader: string): string {
  let end = hostHeader.length;
  let start = 0;
  if (hostHeader.charCodeAt(0) === 0x5b) {
    const bracket = hostHeader.indexOf(']');
    if (bracket === -1) return hostHeader.toLowerCase();
    start = 1;
    end = bracket;
  } else {
    const colon = hostHeader.indexOf(':');
    if (colon !== -1) end = colon;
    if (end > 1 && hostHeader.charCodeAt(end - 1) === 0x2e) end--;
  }
  const host = end - start === hostHeader.length ? hostHeader : hostHeader.slice(start, end);
  for (let i = 0; i < host.length; i++) {
    const c = host.charCodeAt(i);
    if (c >= 0x41 && c <= 0x5a) return host.toLowerCase();
  }
  return host;
}

/** `from` is where the next segment begins; beyond the end when there is none. */
function find<T>(node: PatternNode<T>, path: string, from: number): T | undefined {
  if (from > path.length) return node.value ?? node.rest;
  let end = path.indexOf('/', from);
  if (end === -1) end = path.length;
  if (node.literals !== undefined) {
    const child = node.literals.get(path.slice(from, end));
    if (child !== undefined) {
      const found = find(child, path, end + 1);
      if (found !== undefined) return found;
    }
  }
  if (node.star !== undefined && end > from) {
    const found = find(node.star, path, end + 1);
    if (found !== undefined) return found;
  }
  return node.rest;
}

function siteOf<T>(key: string, routes: Readonly<Record<string, T>>): Site<T> {
  const exact = new Map<string, T>();
  const root: PatternNode<T> = emptyNode();
  for (const [pattern, value] of Object.entries(routes)) {
    const segments = checkedSegments(key, pattern);
    if (segments.includes('*')) insert(root, segments, value);
    else exact.set(pattern, value);
  }
  const hasTree = root.literals !== undefined || root.star !== undefined;
  return { key, exact, root, hasTree };
}

function insert<T>(root: PatternNode<T>, segments: readonly string[], value: T): void {
  let node = root;
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    if (segment === '*' && isLast) {
      node.rest = value;
      return;
    }
    if (segment === '*') {
      node.star ??= emptyNode();
      node = node.star;
    } else {
      node.literals ??= new Map();
      let child = node.literals.get(segment);
      if (child === undefined) {
        child = emptyNode();
        node.literals.set(segment, child);
      }
      node = child;
    }
  }
  node.value = value;
}

function emptyNode<T>(): PatternNode<T> {
  return { literals: undefined, star: undefined, value: undefined, rest: undefined };
}

function checkedHost(key: string, name: string): string {
  if (name.includes('*')) {
    throw new RoutePatternError(
      `site "${key}": a star may only stand for the whole beginning, as in "*.example.com", or alone`,
    );
  }
  const isBareIPv6 = name.split(':').length > 2 && !name.startsWith('[');
  const spelled = isBareIPv6 ? `[${name}]` : name;
  if (hostFault(spelled) !== undefined || name.startsWith('.')) {
    throw new RoutePatternError(`site "${key}" is not a host name: write app.example.com`);
  }
  if (spelled.startsWith('[') ? !spelled.endsWith(']') : name.includes(':')) {
    throw new RoutePatternError(`site "${key}" has a port: sites are the same on every port`);
  }
  return hostWithoutPort(spelled);
}

function checkedSegments(site: string, pattern: string): string[] {
  const where = `site "${site}", route "${pattern}"`;
  if (!pattern.startsWith('/')) {
    throw new RoutePatternError(`${where}: a path begins with "/"`);
  }
  if (/[?#\s]/.test(pattern)) {
    throw new RoutePatternError(`${where}: a path has no query, fragment or white space`);
  }
  if (pattern.includes('//')) {
    throw new RoutePatternError(`${where}: matched paths have no empty segments; write one "/"`);
  }
  const normal = normalizedPath(pattern);
  if (normal === undefined) {
    throw new RoutePatternError(`${where}: no request can have this path`);
  }
  if (normal !== pattern) {
    throw new RoutePatternError(`${where}: would never match; write "${normal}"`);
  }
  const segments = pattern.slice(1).split('/');
  if (segments.some((segment) => segment.includes('*') && segment !== '*')) {
    throw new RoutePatternError(
      `${where}: a star stands for a whole segment ("/users/*/avatar") or, at the end, for all below ("/api/*")`,
    );
  }
  return segments;
}
