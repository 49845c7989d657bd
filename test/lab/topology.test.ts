import assert from 'node:assert/strict';
import { test } from 'node:test';
import ipaddr from 'ipaddr.js';
import { LabError } from '../../bench/lab/errors.ts';
import { anycastTopology, POPS_MAX, type Topology } from '../../bench/lab/topology.ts';

const DOCUMENTATION = ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32'].map(
  (text) => ipaddr.parseCIDR(text),
);

const addresses = (topology: Topology): string[] => [
  ...topology.nodes.flatMap((node) => [
    ...node.loopback,
    ...node.routes.flatMap((route) => [route.to, route.via]),
  ]),
  ...topology.links.flatMap((link) => link.ends.flatMap((end) => end.addresses)),
];

for (const pops of [2, 3, POPS_MAX]) {
  const topology = anycastTopology({ pops, clients: 8, origins: 8 });

  test(`every address of a lab with ${pops} PoPs is one set aside for documentation`, () => {
    for (const text of addresses(topology)) {
      const address = ipaddr.parse(text.split('/')[0]!);
      const inside = DOCUMENTATION.some(
        ([net, bits]) => net.kind() === address.kind() && address.match(net, bits),
      );
      assert.ok(inside, text);
    }
  });

  test(`no interface address is given twice among ${pops} PoPs, and networks do not overlap`, () => {
    const all = topology.links.flatMap((link) => link.ends.flatMap((end) => end.addresses));
    assert.equal(new Set(all).size, all.length);
    for (const { ends } of topology.links) {
      const [a, b] = ends;
      if (b.addresses.length === 0) continue;
      // Both ends of a cable are in one network, and nobody else is.
      for (const family of [0, 1] as const) {
        const [net, bits] = ipaddr.parseCIDR(a.addresses[family]!);
        const inNet = all.filter((text) => {
          const address = ipaddr.parse(text.split('/')[0]!);
          return address.kind() === net.kind() && address.match(net, bits);
        });
        assert.deepEqual(inNet.sort(), [a.addresses[family], b.addresses[family]].sort());
      }
    }
  });

  test(`each of ${pops} PoPs has the VIP, an uplink, an underlay and an AS number of its own`, () => {
    assert.equal(topology.pops.length, pops);
    assert.equal(new Set(topology.pops.map((pop) => pop.asn)).size, pops);
    topology.pops.forEach((pop, index) => {
      assert.equal(pop.rank, index);
      const node = topology.nodes.find(({ name }) => name === pop.name);
      assert.deepEqual(node?.loopback, ['192.0.2.10/32', '2001:db8::10/128']);
      const mine = topology.links.flatMap((link) => link.ends.filter((e) => e.node === pop.name));
      assert.deepEqual(mine.map((end) => end.interface).sort(), ['underlay', 'uplink']);
      // AS numbers for documentation: RFC 5398.
      assert.ok(pop.asn > topology.routerAsn && pop.asn <= 64511);
    });
  });

  test(`interface names fit the kernel and are unique within a node, with ${pops} PoPs`, () => {
    const ends = topology.links.flatMap((link) => link.ends);
    for (const end of ends) assert.ok(end.interface.length <= 15, end.interface);
    const names = ends.map((end) => `${end.node}/${end.interface}`);
    assert.equal(new Set(names).size, names.length);
    for (const end of ends) assert.ok(topology.nodes.some((node) => node.name === end.node));
  });
}

test('nobody has a default route', () => {
  for (const node of anycastTopology().nodes) {
    for (const { to } of node.routes) assert.doesNotMatch(to, /default|\/0$/);
  }
});

test('one PoP is refused, as are nine, a fraction and nonsense', () => {
  for (const pops of [1, 9, 2.5, Number.NaN]) {
    assert.throws(
      () => anycastTopology({ pops }),
      (error) => error instanceof LabError && error.code === 'ERR_LAB_USAGE',
    );
  }
});
