/**
 * Turns a {@link Topology} into the commands that build it: lines for `ip -batch`, and sysctl
 * settings. Pure, so that tests can read what would be done. Nothing is ever created in the
 * machine's own network: links are born inside the namespaces.
 */
import type { LinkPlan, NodeKind, NodePlan, Topology } from './topology.ts';

/** Name of a node's namespace: `hf<id>-<node>`. */
export const namespaceName = (labId: string, node: string): string => `hf${labId}-${node}`;

/** Matches every namespace name that {@link namespaceName} can make for this lab. */
export const namespacePattern = (labId: string): RegExp => new RegExp(`^hf${labId}-[a-z0-9-]+$`);

/** Lines for one `ip -batch` that creates all namespaces. */
export function namespaceCommands(topology: Topology, labId: string): string[] {
  return topology.nodes.map((node) => `netns add ${namespaceName(labId, node.name)}`);
}

/** Lines for one `ip -batch` that joins the namespaces by veth pairs. */
export function linkCommands(
  topology: Topology,
  labId: string,
  links: readonly LinkPlan[] = topology.links,
): string[] {
  return links.map(({ ends: [a, b] }) => {
    const end = (name: string, node: string) => `name ${name} netns ${namespaceName(labId, node)}`;
    return `link add ${end(a.interface, a.node)} type veth peer ${end(b.interface, b.node)}`;
  });
}

/** Lines for the `ip -n NAMESPACE -batch` of one node: addresses, links up, static routes. */
export function nodeCommands(topology: Topology, node: NodePlan): string[] {
  const lines: string[] = [];
  for (const address of node.loopback) lines.push(addressCommand(address, 'lo'));
  lines.push('link set lo up');
  if (node.bridge !== undefined) {
    lines.push(`link add ${node.bridge} type bridge`, `link set ${node.bridge} up`);
  }
  const ends = topology.links.flatMap((link) => link.ends).filter((end) => end.node === node.name);
  for (const end of ends) {
    for (const address of end.addresses) lines.push(addressCommand(address, end.interface));
    if (node.bridge !== undefined) lines.push(`link set ${end.interface} master ${node.bridge}`);
    lines.push(`link set ${end.interface} up`);
  }
  for (const { to, via } of node.routes) lines.push(`route add ${to} via ${via}`);
  return lines;
}

function addressCommand(address: string, device: string): string {
  // Duplicate address detection would keep IPv6 addresses tentative for about two seconds.
  return `addr add ${address} dev ${device}${address.includes(':') ? ' nodad' : ''}`;
}

/** Settings of one namespace, written before its links exist so that these inherit `default`. */
export function sysctls(kind: NodeKind): Record<string, number> {
  const settings: Record<string, number> = {
    'net.ipv6.conf.all.disable_ipv6': 0,
    'net.ipv6.conf.default.disable_ipv6': 0,
    'net.ipv6.conf.all.accept_dad': 0,
    'net.ipv6.conf.default.accept_dad': 0,
    'net.ipv6.conf.default.accept_ra': 0,
  };
  if (kind === 'backbone') return settings;
  for (const scope of ['all', 'default']) {
    // Replies of a PoP that lost the route are asymmetric by design.
    settings[`net.ipv4.conf.${scope}.rp_filter`] = 0;
    settings[`net.ipv4.conf.${scope}.accept_redirects`] = 0;
    settings[`net.ipv4.conf.${scope}.send_redirects`] = 0;
    settings[`net.ipv6.conf.${scope}.accept_redirects`] = 0;
  }
  if (kind === 'router') {
    settings['net.ipv4.ip_forward'] = 1;
    settings['net.ipv6.conf.all.forwarding'] = 1;
    // A link that was down for a while has its IPv6 addresses when it is up again.
    settings['net.ipv6.conf.all.keep_addr_on_down'] = 1;
    settings['net.ipv6.conf.default.keep_addr_on_down'] = 1;
    // One error per full packet, as many routers of the Internet send it; not one a second.
    settings['net.ipv4.icmp_ratelimit'] = 0;
  }
  // A port whose connection the client has closed may be used again after a second.
  if (kind === 'client') settings['net.ipv4.tcp_tw_reuse'] = 1;
  return settings;
}
