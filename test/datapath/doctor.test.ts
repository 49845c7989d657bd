import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DoctorOptions, examine, type MachineFacts } from '../../src/datapath/doctor.ts';
import type { Device } from '../../src/datapath/iproute.ts';

const OPTIONS: DoctorOptions = {
  uplinks: ['eth0'],
  underlay: '2001:db8:b::1',
  vips: [
    { address: '192.0.2.10', port: 443 },
    { address: '2001:0db8:a::10', port: 443 },
  ],
};

const DEVICE: Device = {
  name: 'eth0',
  ifindex: 2,
  mtuBytes: 1_500,
  linkType: 'ether',
  mac: '02:00:00:00:00:01',
  up: true,
  kind: '',
  alias: '',
  addresses: ['2001:db8:b::1', '192.0.2.10', '2001:db8:a::10'],
};

/** CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF. */
const forBpf = (1n << 12n) | (1n << 38n) | (1n << 39n);

const FIT: MachineFacts = {
  platform: 'linux',
  endianness: 'LE',
  kernel: '6.6.0-generic',
  hasBtf: true,
  capabilities: (1n << 12n) | (1n << 21n),
  pinsMounted: false,
  libbpf: 'v1.1',
  devices: [DEVICE],
  listeners: [{ address: '::', port: 443 }],
  tunnelPortInUse: false,
  tunnelRpFilter: undefined,
};

const failed = (change: Partial<MachineFacts>, options: DoctorOptions = OPTIONS) =>
  examine(options, { ...FIT, ...change })
    .filter(({ ok }) => !ok)
    .map(({ name }) => name);

test('a fit machine passes every check', () => {
  assert.deepEqual(failed({}), []);
});

for (const [what, change, names] of [
  ['another system', { platform: 'darwin' }, ['platform']],
  ['a big-endian machine', { endianness: 'BE' }, ['platform']],
  ['an old kernel', { kernel: '6.5.9' }, ['kernel']],
  ['a kernel without types', { hasBtf: false }, ['kernel types (BTF)']],
  ['a process without rights', { capabilities: 0n }, ['capabilities']],
  ['rights for networks alone', { capabilities: 1n << 12n }, ['capabilities']],
  ['rights for BPF but not for mounting', { capabilities: forBpf }, ['capabilities']],
  ['rights for BPF, with nothing to mount', { capabilities: forBpf, pinsMounted: true }, []],
  ['no libbpf', { libbpf: undefined }, ['libbpf']],
  ['an old libbpf', { libbpf: 'v0.8' }, ['libbpf']],
  ['no iproute2', { devices: undefined }, ['iproute2']],
  ['no uplink', { devices: [{ ...DEVICE, name: 'eth1' }] }, ['uplink eth0']],
  ['an uplink that is down', { devices: [{ ...DEVICE, up: false }] }, ['uplink eth0']],
  ['an uplink without Ethernet', { devices: [{ ...DEVICE, linkType: 'none' }] }, ['uplink eth0']],
  ['a narrow underlay', { devices: [{ ...DEVICE, mtuBytes: 1_349 }] }, ['underlay MTU']],
  [
    'a missing underlay',
    { devices: [{ ...DEVICE, addresses: ['192.0.2.10', '2001:db8:a::10'] }] },
    ['underlay address'],
  ],
  [
    'a missing VIP',
    { devices: [{ ...DEVICE, addresses: ['2001:db8:b::1', '192.0.2.10'] }] },
    ['address 2001:db8:a::10'],
  ],
  ['a taken port', { tunnelPortInUse: true }, ['tunnel port']],
  ['strict checking of sources', { tunnelRpFilter: 1 }, ['reverse path filter']],
  [
    'no server',
    { listeners: [] },
    ['listener 192.0.2.10 port 443', 'listener 2001:db8:a::10 port 443'],
  ],
  [
    'a server for IPv4 alone',
    { listeners: [{ address: '0.0.0.0', port: 443 }] },
    ['listener 2001:db8:a::10 port 443'],
  ],
] as const satisfies readonly (readonly [string, Partial<MachineFacts>, readonly string[]])[]) {
  test(`${what} is found, with its mend`, () => {
    assert.deepEqual(failed(change), names);
    for (const check of examine(OPTIONS, { ...FIT, ...change })) {
      assert.equal(check.mend === '', check.ok, check.name);
    }
  });
}

test('a missing server alone does not keep healing from starting', () => {
  const bad = examine(OPTIONS, { ...FIT, listeners: [] }).filter(({ ok }) => !ok);
  assert.ok(bad.every(({ required }) => !required));
});
