/** How many connections each client holds. A core. */
import { canonicalAddress, parsedIPv6 } from './ip-text.ts';

export class ClientLimit {
  readonly #counts = new Map<string, number>();
  #perClient: number;
  #totalMax: number;
  #total = 0;

  constructor(limits: { readonly perClient: number; readonly total: number }) {
    this.#perClient = limits.perClient;
    this.#totalMax = limits.total;
  }

  /** Connections counted now. */
  get total(): number {
    return this.#total;
  }

  /** Clients that hold at least one. */
  get clients(): number {
    return this.#counts.size;
  }

  /** New limits for those who come; nobody is put out. */
  setLimits(limits: { readonly perClient: number; readonly total: number }): void {
    this.#perClient = limits.perClient;
    this.#totalMax = limits.total;
  }

  /**
   * Counts a connection. False, and not counted, when its client or all together have too many.
   * Pair each true with one {@link leave}.
   */
  enter(address: string): boolean {
    if (this.#total >= this.#totalMax) return false;
    const key = clientKey(address);
    const count = this.#counts.get(key) ?? 0;
    if (count >= this.#perClient) return false;
    this.#counts.set(key, count + 1);
    this.#total += 1;
    return true;
  }

  /** Takes back one {@link enter}. An address that holds none is ignored. */
  leave(address: string): void {
    const key = clientKey(address);
    const count = this.#counts.get(key);
    if (count === undefined) return;
    if (count === 1) this.#counts.delete(key);
    else this.#counts.set(key, count - 1);
    this.#total -= 1;
  }
}

/**
 * What counts as one client: an IPv4 address, or the /64 of an IPv6 address, since one subscriber
 * holds at least that (RFC 6177). Texts that are no address count as one client.
 */
export function clientKey(address: string): string {
  // Nearly always dotted, as the kernel spells it.
  if (!address.includes(':')) return canonicalAddress(address) ?? '';
  const parsed = parsedIPv6(withoutZone(address));
  if (parsed === undefined) return '';
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().toString();
  const parts = parsed.parts;
  return `${parts[0]}:${parts[1]}:${parts[2]}:${parts[3]}`;
}

/** The kernel gives link-local peers as `fe80::1%eth0`. */
function withoutZone(address: string): string {
  const zone = address.indexOf('%');
  return zone === -1 ? address : address.slice(0, zone);
}
