/** What an operator adds to bird.conf or frr.conf. A core without IO. */
import ipaddr from 'ipaddr.js';
import { type Family, MARKER_DEVICES, MARKER_GATEWAYS, STATE_GATEWAYS } from './marker.ts';
import { ANNOUNCED_STATES } from './state.ts';

/** The network that is usually announced for an address: a /24 or a /48. */
export function usualPrefix(address: string): string {
  const parsed = ipaddr.parse(address);
  const bits = parsed.kind() === 'ipv4' ? 24 : 48;
  const network =
    parsed.kind() === 'ipv4'
      ? ipaddr.IPv4.networkAddressFromCIDR(`${address}/${bits}`)
      : ipaddr.IPv6.networkAddressFromCIDR(`${address}/${bits}`);
  return `${network.toString()}/${bits}`;
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4;
}

/** Families of some addresses, IPv4 first. */
export function familiesOf(addresses: readonly string[]): Family[] {
  return ([4, 6] as const).filter((family) => addresses.some((one) => familyOf(one) === family));
}

/** Whether a network, not a default route, holds one of the addresses. */
export function coversAny(prefix: string, addresses: readonly string[]): boolean {
  if (!ipaddr.isValidCIDR(prefix)) return false;
  const [network, bits] = ipaddr.parseCIDR(prefix);
  if (bits === 0) return false;
  return addresses.some((address) => {
    const parsed = ipaddr.parse(address);
    return parsed.kind() === network.kind() && parsed.match(network, bits);
  });
}

/** @param vips Addresses whose networks are announced. */
export function birdSnippet(vips: readonly string[]): string {
  const statics = familiesOf(vips).map((family) => {
    const prefixes = new Set(
      vips.filter((vip) => familyOf(vip) === family).map((vip) => usualPrefix(vip)),
    );
    const routes = [...prefixes].map((each) => `  route ${each} via ${MARKER_GATEWAYS[family]};`);
    return `protocol static holdfast${family} {\n  ipv${family};\n${routes.join('\n')}\n}\n`;
  });
  return `# The routes stand while holdfast keeps its marker address alive.
${statics.join('')}
# The marker's device says what is announced.
function holdfast() {
  if ifname = "${MARKER_DEVICES.up}" then { bgp_med = 100; return true; }
  if ifname = "${MARKER_DEVICES.degraded}" then { bgp_med = 200; return true; }
  if ifname = "${MARKER_DEVICES.draining}" then {
    bgp_med = 300;
    bgp_community.add((65535, 0));  # GRACEFUL_SHUTDOWN, RFC 8326
    return true;
  }
  return false;
}

# In each BGP session:  ipv4 { export where holdfast(); … };
`;
}

/** For FRR: a route per state, of which the one with a living marker stands. */
export function frrSnippet(vips: readonly string[]): string {
  const routes = familiesOf(vips).flatMap((family) => {
    const prefixes = new Set(
      vips.filter((vip) => familyOf(vip) === family).map((vip) => usualPrefix(vip)),
    );
    const verb = family === 4 ? 'ip route' : 'ipv6 route';
    return [...prefixes].flatMap((prefix) =>
      ANNOUNCED_STATES.map(
        (state, i) => `${verb} ${prefix} ${STATE_GATEWAYS[state][family]} tag ${i + 1} ${10 + i}`,
      ),
    );
  });
  return `! The routes stand while holdfast keeps its marker addresses alive.
${routes.join('\n')}
route-map HOLDFAST permit 10
 match tag 1
 set metric 100
route-map HOLDFAST permit 20
 match tag 2
 set metric 200
route-map HOLDFAST permit 30
 match tag 3
 set metric 300
 set community graceful-shutdown
! In each address-family of router bgp:  redistribute static route-map HOLDFAST
`;
}
