import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseChannelCounters } from '../../bench/lab/bird/channel-counters.ts';
import { popConfig, routerConfig, sessionName } from '../../bench/lab/bird/config.ts';
import { bgpProgress, parseProtocols } from '../../bench/lab/bird/protocols.ts';
import { anycastTopology } from '../../bench/lab/topology.ts';

const topology = anycastTopology({ pops: 3 });
const hasBird = spawnSync('bird', ['--version']).error === undefined;

test('the less preferred a PoP, the longer the AS path it announces', () => {
  const prepends = topology.pops.map(
    (pop) => popConfig(topology, pop, '/log').match(/bgp_path\.prepend/g)?.length ?? 0,
  );
  // One export filter per family.
  assert.deepEqual(prepends, [0, 2, 4]);
});

test('the router takes nothing but the VIP’s prefixes and tells nothing but where clients are', () => {
  const config = routerConfig(topology, '/log');
  const imports = config.match(/import (?!none).*;/g) ?? [];
  assert.deepEqual([...new Set(imports)].sort(), [
    'import filter { if net != 192.0.2.0/24 then reject; if (65535, 0) ~ bgp_community then bgp_local_pref = 0; accept; };',
    'import filter { if net != 2001:db8::/48 then reject; if (65535, 0) ~ bgp_community then bgp_local_pref = 0; accept; };',
  ]);
  assert.equal(config.match(/export where source = RTS_DEVICE;/g)?.length, 6);
  for (const pop of topology.pops) assert.ok(config.includes(`bgp ${sessionName(pop, 6)} {`));
});

test('BIRD itself accepts every configuration', {
  skip: hasBird ? false : 'bird is not installed',
}, () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-bird-'));
  try {
    const wide = anycastTopology({ pops: 8 });
    const configs = [
      routerConfig(wide, join(directory, 'r.log')),
      ...wide.pops.map((pop) => popConfig(wide, pop, join(directory, 'p.log'))),
      ...(['bird', 'exabgp'] as const).flatMap((announcing) => [
        routerConfig(wide, join(directory, 'r.log'), { announcing, bfdMs: 300 }),
        popConfig(wide, wide.pops[2]!, join(directory, 'p.log'), { announcing, bfdMs: 300 }),
      ]),
    ];
    configs.forEach((config, index) => {
      const file = join(directory, `${index}.conf`);
      writeFileSync(file, config);
      const { status, stderr } = spawnSync('bird', ['-p', '-c', file], { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('where holdfast announces, its marker decides, and degraded is a longer path than any healthy one', () => {
  const [first] = topology.pops;
  const config = popConfig(topology, first!, '/log', { announcing: 'bird' });
  assert.match(config, /route 192\.0\.2\.0\/24 via 169\.254\.104\.106;/);
  assert.match(config, /if proto = "holdfast4" then \{ if ! holdfast\(\) then reject; \}/);
  const [degraded = ''] = config.match(/if ifname = "hf-degraded".*/) ?? [];
  assert.equal(degraded.match(/prepend/g)?.length, 3);
  assert.doesNotMatch(popConfig(topology, first!, '/log'), /holdfast/);
});

test('updates and withdrawals of a session are read, and no text makes the reader throw', () => {
  const text = `    Route change stats:     received   rejected   filtered    ignored   accepted
      Import updates:              3          0          0          0          3
      Import withdraws:            1          0        ---          0          1
      Export updates:              9          3          0        ---          6`;
  assert.deepEqual(parseChannelCounters(text.split('\n')), { updates: 3, withdrawals: 1 });
  const word = fc.constantFrom('Import', 'updates:', 'withdraws:', '---', '7', '   ');
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.oneof(word, fc.string())).map((w) => w.join(' '))),
      (lines) => {
        const { updates, withdrawals } = parseChannelCounters(lines);
        assert.ok(updates >= 0 && withdrawals >= 0);
      },
    ),
  );
});

const SAMPLE = `BIRD 2.0.12 ready.
Name       Proto      Table      State  Since         Info
device1    Device     ---        up     22:38:23.295  
vip4       Static     master4    down   22:38:23.295  
pop_a_4    BGP        ---        up     22:38:24.203  Established   
pop_a_6    BGP        ---        start  22:38:24.203  Active        Socket: Connection refused
`;

test('the table of protocols is read with its states', () => {
  const rows = parseProtocols(SAMPLE);
  assert.deepEqual(
    rows.map((row) => [row.name, row.proto, row.state, row.info]),
    [
      ['device1', 'Device', 'up', ''],
      ['vip4', 'Static', 'down', ''],
      ['pop_a_4', 'BGP', 'up', 'Established'],
      ['pop_a_6', 'BGP', 'start', 'Active Socket: Connection refused'],
    ],
  );
  assert.deepEqual(bgpProgress(rows), { established: 1, total: 2 });
});

test('no text makes the reader of protocols throw', () => {
  const word = fc.constantFrom('up', 'down', 'BGP', '\n', ' ', 'Established', '\t');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(fc.oneof(word, fc.string())).map((words) => words.join(' ')),
      ),
      (text) => {
        const { established, total } = bgpProgress(parseProtocols(text));
        assert.ok(established <= total);
      },
    ),
  );
});
