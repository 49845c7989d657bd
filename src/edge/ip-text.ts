/**
 * IP addresses as outside parties write them, read strictly: `010.0.0.1`, `1.2`, `0x7f.1` and zone
 * ids mean different things to different programs and are refused. A core.
 */
import ipaddr from 'ipaddr.js';

/**
 * The one spelling of an address (RFC 5952), with IPv4-mapped IPv6 addresses as IPv4; `undefined`
 * when the text is not exactly an IPv4 or IPv6 address.
 */
export function canonicalAddress(text: string): string | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return text;
  const address = parsedIPv6(text);
  if (address === undefined) return undefined;
  return address.isIPv4MappedAddress()
    ? address.toIPv4Address().toString()
    : address.toRFC5952String();
}

/** Strict reading of IPv6 text; `undefined` when it is none. */
export function parsedIPv6(text: string): ipaddr.IPv6 | undefined {
  // No IPv6 address is longer than 45 characters; what is longer is not worth a regular expression.
  if (text.length > 45 || !text.includes(':') || text.includes('%')) return undefined;
  const dotted = text.includes('.') ? text.slice(text.lastIndexOf(':') + 1) : undefined;
  if (dotted !== undefined && !ipaddr.IPv4.isValidFourPartDecimal(dotted)) return undefined;
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined;
}

/** The 16 bytes of an address, IPv4 as IPv4-mapped; `undefined` when it is none. */
export function mappedBytes(text: string): number[] | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) {
    return ipaddr.IPv4.parse(text).toIPv4MappedAddress().toByteArray();
  }
  return parsedIPv6(text)?.toByteArray();
}

/** The spelling of {@link canonicalAddress} for 4 or 16 bytes. */
export function addressOfBytes(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const address = new ipaddr.IPv6([...bytes]);
  return address.isIPv4MappedAddress()
    ? address.toIPv4Address().toString()
    : address.toRFC5952String();
}
