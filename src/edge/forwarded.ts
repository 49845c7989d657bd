/**
 * Who the client is when proxies stand between: `X-Forwarded-For` and `Forwarded` (RFC 7239). A core.
 *
 * Only what a trusted peer says counts. The chain is walked from the right, from the peer outwards,
 * and the first address that is not trusted is the client: everything left of it is that client's
 * own word. An entry that is no address (`unknown`, `_hidden`, nonsense) ends the walk; the last
 * trusted hop then stands for the client.
 *
 * `X-Forwarded-For` counts before `Forwarded`, which is read only without it: common proxies add to
 * the former and let a client's own `Forwarded` through. A trusted proxy that uses `Forwarded` must
 * remove `X-Forwarded-For`.
 */
import { canonicalAddress } from './ip-text.ts';

/** Longer chains are not walked to the end: each hop costs an address parse. */
const HOPS_MAX = 64;

export interface ForwardedClient {
  /** The client's address, in its one spelling. */
  readonly address: string;
  /** False when the peer is not trusted and its forwarding headers must be replaced. */
  readonly peerTrusted: boolean;
}

/**
 * @param peer Address of whoever holds the other end of the connection.
 * @param xForwardedFor All values of X-Forwarded-For, joined with commas in order.
 * @param forwarded All values of Forwarded, joined likewise.
 */
export function clientOf(
  peer: string,
  xForwardedFor: string | undefined,
  forwarded: string | undefined,
  trusted: (address: string) => boolean,
): ForwardedClient {
  if (!trusted(peer)) return { address: canonicalAddress(peer) ?? peer, peerTrusted: false };
  const chain =
    xForwardedFor !== undefined
      ? lastItems(xForwardedFor)
      : forwarded !== undefined
        ? forwardedFor(forwarded)
        : undefined;
  let address = canonicalAddress(peer) ?? peer;
  if (chain === undefined) return { address, peerTrusted: true };
  for (let i = chain.length - 1; i >= 0; i--) {
    const hop = nodeAddress(chain[i]!);
    if (hop === undefined) break;
    address = hop;
    if (!trusted(hop)) break;
  }
  return { address, peerTrusted: true };
}

/** The last {@link HOPS_MAX} items of a comma list, in order. */
function lastItems(list: string): string[] {
  const items: string[] = [];
  let end = list.length;
  while (end >= 0 && items.length < HOPS_MAX) {
    const comma = end === 0 ? -1 : list.lastIndexOf(',', end - 1);
    items.push(list.slice(comma + 1, end).trim());
    end = comma;
  }
  return items.reverse();
}

/** `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80` or bare IPv6. */
function nodeAddress(node: string): string | undefined {
  if (node.charCodeAt(0) === 0x5b) {
    const end = node.indexOf(']');
    if (end === -1 || !isPortSuffix(node, end + 1)) return undefined;
    const address = node.slice(1, end);
    return address.includes(':') ? canonicalAddress(address) : undefined;
  }
  const colon = node.indexOf(':');
  if (colon !== -1 && node.indexOf(':', colon + 1) === -1) {
    return isPortSuffix(node, colon) ? canonicalAddress(node.slice(0, colon)) : undefined;
  }
  return canonicalAddress(node);
}

/** Nothing, or a colon and a port (RFC 7239 section 6 allows hidden ports, `_x`, too). */
function isPortSuffix(node: string, from: number): boolean {
  if (from === node.length) return true;
  return /^:(?:\d{1,5}|_[A-Za-z0-9._-]+)$/.test(node.slice(from));
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
/** RFC 9110 section 5.6.4. */
const QUOTED = /"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*)"/y;

/**
 * The `for` of each element of a Forwarded header, `''` for an element without one; `undefined`
 * when the header is malformed. Only the last {@link HOPS_MAX} count.
 */
export function forwardedFor(header: string): string[] | undefined {
  const found: string[] = [];
  let at = 0;
  let current = '';
  let isEmpty = true;
  for (;;) {
    at = skipBlanks(header, at);
    const c = header.charCodeAt(at);
    if (at >= header.length || c === 0x2c) {
      // RFC 9110 section 5.6.1.2: empty elements of a list are ignored.
      if (!isEmpty) found.push(current);
      if (at >= header.length) return found.slice(-HOPS_MAX);
      current = '';
      isEmpty = true;
      at++;
      continue;
    }
    if (c === 0x3b) {
      at++;
      continue;
    }
    TOKEN.lastIndex = at;
    const name = TOKEN.exec(header)?.[0];
    if (name === undefined || header.charCodeAt(at + name.length) !== 0x3d) return undefined;
    at += name.length + 1;
    const isQuoted = header.charCodeAt(at) === 0x22;
    const pattern = isQuoted ? QUOTED : TOKEN;
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match === null) return undefined;
    at = skipBlanks(header, pattern.lastIndex);
    const next = header.charCodeAt(at);
    if (at < header.length && next !== 0x2c && next !== 0x3b) return undefined;
    isEmpty = false;
    if (name.length !== 3 || name.toLowerCase() !== 'for') continue;
    // RFC 7239 section 4: each parameter at most once per element.
    if (current !== '') return undefined;
    current = isQuoted ? match[1]!.replace(/\\(.)/g, '$1') : match[0];
  }
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) === 0x20 || text.charCodeAt(at) === 0x09) at++;
  return at;
}

/**
 * One element of `Forwarded` for the hop in front of us: `for="[2001:db8::1]";host=a.example;proto=https`.
 * What is empty is left out; an address that is none becomes `unknown` (RFC 7239 section 6.2).
 */
export function forwardedElement(facts: {
  /** The address we were asked from, without port. */
  readonly for: string;
  /** The address we were asked at. */
  readonly by?: string;
  /** The Host header as received. */
  readonly host: string;
  readonly proto: 'http' | 'https';
}): string {
  const by = facts.by === undefined ? '' : `by=${forwardedNode(facts.by)};`;
  const host = facts.host === '' ? '' : `;host=${quotedUnlessToken(facts.host)}`;
  return `${by}for=${forwardedNode(facts.for)}${host};proto=${facts.proto}`;
}

/** A list header with one more value at its end. */
export function appended(list: string | undefined, value: string): string {
  return list === undefined || list === '' ? value : `${list}, ${value}`;
}

function forwardedNode(address: string): string {
  const canonical = canonicalAddress(address);
  if (canonical === undefined) return 'unknown';
  return canonical.includes(':') ? `"[${canonical}]"` : canonical;
}

function quotedUnlessToken(value: string): string {
  TOKEN.lastIndex = 0;
  if (TOKEN.exec(value)?.[0].length === value.length) return value;
  return `"${value.replace(/["\\]/g, '\\$&').replace(/[^\t\x20-\x7e\x80-\xff]/g, '')}"`;
}
