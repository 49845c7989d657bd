/** Address ranges (`10.0.0.0/8`, `2001:db8::/32`, or one address). A core without IO. */
import ipaddr from 'ipaddr.js';
import { AddressError } from './address.ts';

export interface Cidr {
  /** As the user wrote it. */
  readonly text: string;
}

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** Checks a range and gives it back. Throws {@link AddressError}. */
export function parseCidr(text: string): Cidr {
  rangeOf(text);
  return { text };
}

function rangeOf(text: string): Range {
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  if (ipaddr.isValid(text) && /[.:]/.test(text)) {
    const address = ipaddr.parse(text);
    return [address, address.kind() === 'ipv4' ? 32 : 128];
  }
  throw new AddressError(`"${text}" is not an address range: write 10.0.0.0/8 or 2001:db8::/32`);
}

/** Makes a test for membership in any of the ranges. IPv4-mapped IPv6 addresses count as IPv4. */
export function cidrMatcher(cidrs: readonly Cidr[]): (address: string) => boolean {
  if (cidrs.length === 0) return () => false;
  const ranges = cidrs.map((cidr) => rangeOf(cidr.text));
  return (address) => {
    if (!ipaddr.isValid(address)) return false;
    const parsed = ipaddr.process(address);
    return ranges.some(([base, bits]) => parsed.kind() === base.kind() && parsed.match(base, bits));
  };
}
