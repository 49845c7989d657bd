/**
 * Which header fields cross the edge. A core: flat lists in (name, value, name, value), flat lists out.
 *
 * Fields that speak of one connection only are dropped in both directions (RFC 9110, 7.6.1);
 * `Via` is added in both (RFC 9110, 7.6.3); who the client is, is told to the origin in
 * `Forwarded` (RFC 7239) and in the `X-Forwarded-*` fields that many origins read instead.
 */
import type { HeaderNameSet } from './header-name.ts';
import { isHopByHop, nominatedBy } from './header-name.ts';

/** What the edge itself tells an origin about a request. */
export interface RequestFacts {
  readonly requestId: string;
  /** Host field for the origin; undefined leaves it to the sender. */
  readonly host: string | undefined;
  /** Host field as the client sent it. */
  readonly clientHost: string;
  readonly proto: 'http' | 'https';
  /** Value of X-Forwarded-For without what a trusted proxy sent. */
  readonly client: string;
  /** The element of Forwarded that stands for this hop. */
  readonly forwarded: string;
  /** The client's side is a trusted proxy: its own X-Forwarded-* fields are kept. */
  readonly peerTrusted: boolean;
  readonly via: string;
}

/** Fields of a request as the origin gets them. Framing fields are the sender's business. */
export function originRequestHeaders(raw: readonly string[], facts: RequestFacts): string[] {
  const out: string[] = facts.host === undefined ? [] : ['host', facts.host];
  let nominated: HeaderNameSet | undefined;
  let forwardedFor = '';
  let forwarded = '';
  let via = '';
  let proto = '';
  let host = '';
  let port = '';
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    switch (name.length) {
      case 3:
        if (same(name, 'via')) {
          via = via === '' ? value : `${via}, ${value}`;
          continue;
        }
        break;
      case 4:
        if (same(name, 'host')) continue;
        break;
      case 6:
        if (same(name, 'expect')) continue;
        break;
      case 9:
        if (same(name, 'forwarded')) {
          forwarded = forwarded === '' ? value : `${forwarded}, ${value}`;
          continue;
        }
        if (!facts.peerTrusted && same(name, 'x-real-ip')) continue;
        break;
      case 10:
        if (same(name, 'connection')) {
          nominated = nominatedBy(value, nominated);
          continue;
        }
        break;
      case 12:
        if (same(name, 'x-request-id')) continue;
        break;
      case 14:
        if (same(name, 'http2-settings')) continue;
        break;
      default:
        if (name.length > 14 && (name.charCodeAt(0) | 0x20) === 0x78) {
          if (same(name, 'x-forwarded-for')) {
            forwardedFor = forwardedFor === '' ? value : `${forwardedFor}, ${value}`;
            continue;
          }
          if (same(name, 'x-forwarded-proto')) {
            proto = value;
            continue;
          }
          if (same(name, 'x-forwarded-host')) {
            host = value;
            continue;
          }
          if (same(name, 'x-forwarded-port')) {
            port = value;
            continue;
          }
          if (same(name, 'x-holdfast-node')) continue;
        }
    }
    if (isHopByHop(name) || (name.includes('_') && isDisguised(name))) continue;
    out.push(name, value);
  }
  if (nominated !== undefined) dropNominated(out, nominated, out[0] === 'host' ? 2 : 0);
  const trusted = facts.peerTrusted;
  out.push(
    'x-forwarded-for',
    trusted && forwardedFor !== '' ? `${forwardedFor}, ${facts.client}` : facts.client,
    'x-forwarded-proto',
    trusted && proto !== '' ? proto : facts.proto,
    'x-forwarded-host',
    trusted && host !== '' ? host : facts.clientHost,
    'forwarded',
    trusted && forwarded !== '' ? `${forwarded}, ${facts.forwarded}` : facts.forwarded,
    'via',
    via === '' ? facts.via : `${via}, ${facts.via}`,
    'x-request-id',
    facts.requestId,
  );
  if (trusted && port !== '') out.push('x-forwarded-port', port);
  return out;
}

/** What the edge adds to an answer. */
export interface ResponseFacts {
  readonly requestId: string;
  readonly via: string;
  readonly node: string;
  /** Value of a Set-Cookie field, if one is due. */
  readonly setCookie: string | undefined;
}

/**
 * Fields of an answer as the client gets them.
 * @param raw as the origin sent them, in Latin-1, which keeps every byte.
 */
export function clientResponseHeaders(raw: readonly string[], facts: ResponseFacts): string[] {
  const out: string[] = [];
  let nominated: HeaderNameSet | undefined;
  let via = '';
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name.length === 3 && same(name, 'via')) {
      via = via === '' ? value : `${via}, ${value}`;
      continue;
    }
    if (name.length === 10 && same(name, 'connection')) {
      nominated = nominatedBy(value, nominated);
      continue;
    }
    if (isHopByHop(name)) continue;
    if (name.length === 12 && same(name, 'x-request-id')) continue;
    if (name.length === 15 && same(name, 'x-holdfast-node')) continue;
    out.push(name, value);
  }
  if (nominated !== undefined) dropNominated(out, nominated, 0);
  out.push('via', via === '' ? facts.via : `${via}, ${facts.via}`);
  out.push('x-holdfast-node', facts.node, 'x-request-id', facts.requestId);
  if (facts.setCookie !== undefined) out.push('set-cookie', facts.setCookie);
  return out;
}

const believedByOrigins = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-real-ip',
  'x-request-id',
]);

/** CGI and its heirs turn dashes into underscores: to them `X_Forwarded_For` is `X-Forwarded-For`. */
function isDisguised(name: string): boolean {
  return believedByOrigins.has(name.replaceAll('_', '-').toLowerCase());
}

/** The value of a field in a flat list, whatever the case of its name; the first one counts. */
export function fieldValue(raw: readonly string[], lowerName: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) {
    if (same(raw[i] as string, lowerName)) return raw[i + 1];
  }
  return undefined;
}

function dropNominated(list: string[], nominated: HeaderNameSet, from: number): void {
  let kept = from;
  for (let i = from; i < list.length; i += 2) {
    if (nominated.has((list[i] as string).toLowerCase())) continue;
    list[kept] = list[i] as string;
    list[kept + 1] = list[i + 1] as string;
    kept += 2;
  }
  list.length = kept;
}

function same(name: string, lowerName: string): boolean {
  return (
    name === lowerName || (name.length === lowerName.length && name.toLowerCase() === lowerName)
  );
}
