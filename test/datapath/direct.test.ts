import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Namespace, scratchDirectory, sh, skipReason } from '../../bench/datapath/namespace.ts';
import { checksum, errorFrame, type Segment, tcpFrame } from '../../bench/datapath/packets.ts';
import { flowKey } from '../../src/datapath/address-bytes.ts';
import { Datapath } from '../../src/datapath/datapath.ts';
import type { WayName } from '../../src/datapath/verdicts.ts';
import { FrameSocket } from './raw-socket.ts';

/**
 * The two ways into the tunnel, side by side on real devices: what the tunnel device sends, and what
 * the programs send once they saw it.
 */
const skip = skipReason('ethtool');
const PORT = 443;
const COOKIE = 0x2a_bcde;
const HOP_MS = 100;

const INNER = {
  4: { client: '203.0.113.7', vip: '192.0.2.10' },
  6: { client: '2001:db8:c::7', vip: '2001:db8:a::10' },
} as const;
const OUTER = {
  4: { node: '198.51.100.1', peer: '198.51.100.2', bits: 24, ipBytes: 20 },
  6: { node: '2001:db8:b::1', peer: '2001:db8:b::2', bits: 64, ipBytes: 40 },
} as const;

for (const outer of [4, 6] as const) {
  for (const inner of [4, 6] as const) {
    describe(`two ways into the tunnel, IPv${inner} in IPv${outer}`, { skip }, () => {
      const { client, vip } = INNER[inner];
      const { node, peer, bits, ipBytes } = OUTER[outer];
      const scratch = scratchDirectory();
      const home = skip === false ? Namespace.current() : undefined;
      let datapath: Datapath;
      let wire: FrameSocket;
      let under: FrameSocket;
      let port = 30_000;

      before(() => {
        const beyond = Namespace.create();
        Namespace.create().enter();
        sh(`ip link add name up type veth peer name farup netns ${beyond.path}`);
        sh(`ip link add name under type veth peer name farunder netns ${beyond.path}`);
        for (const device of ['up', 'under']) sh(`ip link set dev ${device} up`);
        // Otherwise UDP's checksum is left to a card that is not there.
        sh('ethtool -K under tx off');
        sh(`ip address add ${node}/${bits} dev under${outer === 6 ? ' nodad' : ''}`);
        sh(`ip neighbour add ${peer} lladdr 02:00:00:00:00:03 dev under`);
        sh(`ip address add ${vip} dev lo${inner === 6 ? ' nodad' : ''}`);
        beyond.run(() => {
          for (const device of ['farup', 'farunder']) sh(`ip link set dev ${device} up`);
          wire = new FrameSocket('farup');
          under = new FrameSocket('farunder');
        });
        datapath = Datapath.start({
          uplinks: ['up'],
          underlay: node,
          vips: [{ address: vip, port: PORT }],
          cookie: COOKIE,
          hashSeed: 1,
          pinDirectory: `${scratch.path}/bpf`,
          ticketsMax: 4_096,
          ownFlowsMax: 4_096,
          ringBytes: 65_536,
        });
        datapath.nodes.place({ address: peer, boot: 21, state: 'alive' });
      });

      after(() => {
        wire?.close();
        under?.close();
        datapath?.remove();
        scratch.drop('bpf');
        home?.enter();
      });

      /** A segment of a flow that belongs to the peer. */
      function segment(more: Partial<Segment> = {}): Segment {
        const from = { address: client, port: port++ };
        const slot = datapath.nodes.slotOf(peer)!;
        datapath.tickets.learn(flowKey(from, { address: vip, port: PORT }), slot);
        datapath.tickets.flush();
        return { from: client, fromPort: from.port, to: vip, toPort: PORT, ...more };
      }

      /** Sends a client's frame. @returns the tunnel's frame, and the way it took. */
      function relay(frame: Uint8Array): { way: WayName; sent: Buffer } {
        const before = datapath.ways.read();
        under.receiveAll();
        wire.send(frame);
        for (let turn = 0; turn < 2_000; turn++) {
          const sent = under.receive();
          // Others on this wire: neighbour discovery.
          if (sent === undefined || !isTunnel(sent)) continue;
          const now = datapath.ways.read();
          const ways = (['device', 'direct'] as const).filter((way) => now[way] !== before[way]);
          assert.equal(ways.length, 1);
          return { way: ways[0]!, sent };
        }
        throw new Error('nothing left');
      }

      const isTunnel = (frame: Buffer) => frame.readUInt16BE(14 + ipBytes + 2) === 4_789;

      /** The ways that a client's frame took, whatever became of it. */
      async function waysOf(frame: Uint8Array): Promise<Record<WayName, number>> {
        const before = datapath.ways.read();
        wire.send(frame);
        await sleep(20);
        const now = datapath.ways.read();
        return { device: now.device - before.device, direct: now.direct - before.direct };
      }

      /** Lets the programs forget, then sends the frame by each way. */
      async function both(frame: Uint8Array): Promise<{ device: Buffer; direct: Buffer }> {
        await sleep(HOP_MS + 20);
        const first = relay(frame);
        const second = relay(frame);
        assert.deepEqual([first.way, second.way], ['device', 'direct']);
        return { device: first.sent, direct: second.sent };
      }

      /** Without what must differ: identification and checksum of IPv4. */
      function comparable(frame: Buffer): string {
        const copy = Buffer.from(frame);
        if (outer === 4) {
          assert.equal(checksum(copy.subarray(14, 34)), 0, 'the IPv4 header’s checksum is right');
          copy.fill(0, 18, 20);
          copy.fill(0, 24, 26);
        }
        return copy.toString('hex');
      }

      const sourcePort = (frame: Buffer) => frame.readUInt16BE(14 + ipBytes);

      for (const [what, more] of [
        ['a bare acknowledgement', {}],
        ['a full segment', { payload: Buffer.alloc(1_300, 'x') }],
        ['a segment of odd length', { payload: Buffer.from('odd') }],
        ['options', { options: Buffer.from('0101080a0000000100000002', 'hex') }],
      ] as const) {
        test(`both ways make the same bytes of ${what}`, async () => {
          const { device, direct } = await both(tcpFrame(segment(more)));
          assert.equal(comparable(direct), comparable(device));
        });
      }

      for (const ecn of [1, 2, 3]) {
        test(`both ways treat congestion mark ${ecn} alike`, async () => {
          const frame = tcpFrame(segment());
          if (inner === 6) frame.writeUInt8(ecn << 4, 15);
          else {
            frame.writeUInt8(ecn, 15);
            frame.fill(0, 24, 26);
            frame.writeUInt16BE(checksum(frame.subarray(14, 34)), 24);
          }
          const { device, direct } = await both(frame);
          assert.equal(comparable(direct), comparable(device));
        });
      }

      test('padding of a short frame does not spoil the checksum', async () => {
        const whole = tcpFrame(segment({ payload: Buffer.from('p') }));
        const { direct } = await both(Buffer.concat([whole, Buffer.from('padding!')]));
        const datagram = direct.subarray(14 + ipBytes);
        const bytes = datagram.readUInt16BE(4);
        assert.equal(bytes, datagram.length);
        assert.deepEqual(datagram.subarray(30, 30 + whole.length - 14), whole.subarray(14));
        if (outer === 4) return assert.equal(datagram.readUInt16BE(6), 0);
        const pseudo = Buffer.alloc(8);
        pseudo.writeUInt32BE(bytes, 0);
        pseudo.writeUInt8(17, 7);
        assert.equal(checksum(direct.subarray(22, 54), pseudo, datagram), 0);
      });

      test('flows have source ports of their own, the same on both ways', async () => {
        const ports = new Set<number>();
        for (let i = 0; i < 5; i++) {
          const { device, direct } = await both(tcpFrame(segment()));
          assert.equal(sourcePort(device), sourcePort(direct));
          ports.add(sourcePort(direct));
        }
        assert.ok(ports.size >= 4, `ports ${[...ports].join(' ')}`);
      });

      test('what is longer than the longest seen takes the device, once', async () => {
        await both(tcpFrame(segment()));
        const longer = tcpFrame(segment({ payload: Buffer.alloc(700) }));
        assert.equal(relay(longer).way, 'device');
        assert.equal(relay(longer).way, 'direct');
      });

      test('an ICMP error takes the device', async () => {
        const one = segment();
        await both(tcpFrame(one));
        const about = { from: vip, fromPort: PORT, to: client, toPort: one.fromPort };
        const error = errorFrame(client, inner === 4 ? 3 : 1, 0, about);
        assert.equal(relay(error).way, 'device');
        assert.equal(relay(error).way, 'device');
      });

      test('a change of route or neighbour is followed after a tenth of a second', async () => {
        const frame = tcpFrame(segment());
        const { direct } = await both(frame);
        assert.equal(direct.toString('hex', 0, 6), '020000000003');
        sh(`ip neighbour replace ${peer} lladdr 02:00:00:00:00:33 dev under`);
        const changed = await both(frame);
        assert.equal(changed.direct.toString('hex', 0, 6), '020000000033');
        assert.equal(comparable(changed.direct), comparable(changed.device));
      });

      test('what the kernel splits or refuses is never sent past it', async () => {
        sh(`ip ${outer === 6 ? '-6 ' : ''}route replace ${peer} dev under mtu 1300`);
        try {
          await both(tcpFrame(segment()));
          const big = tcpFrame(segment({ payload: Buffer.alloc(1_250) }));
          assert.deepEqual(await waysOf(big), { device: 1, direct: 0 });
          assert.deepEqual(await waysOf(big), { device: 1, direct: 0 });
        } finally {
          sh(`ip ${outer === 6 ? '-6 ' : ''}route delete ${peer} dev under mtu 1300`);
        }
      });

      test('where the kernel encrypts or forbids, nothing is sent past it', async (t) => {
        const frame = tcpFrame(segment());
        const policy = `src ${node} dst ${peer} dir out`;
        const esp = `tmpl src ${node} dst ${peer} proto esp mode transport`;
        try {
          sh(`ip xfrm policy add ${policy} ${esp}`);
        } catch {
          return t.skip('needs IPsec in the kernel');
        }
        try {
          await sleep(HOP_MS + 20);
          under.receiveAll();
          // There is no key: a packet that leaves at all left in the clear.
          for (let i = 0; i < 3; i++)
            assert.deepEqual(await waysOf(frame), { device: 1, direct: 0 });
          assert.deepEqual(under.receiveAll().filter(isTunnel), []);
        } finally {
          sh(`ip xfrm policy delete ${policy}`);
        }
        await both(frame);
      });
    });
  }
}

test('an underlay without Ethernet has one way: the device', { skip }, async () => {
  const scratch = scratchDirectory();
  const home = Namespace.current();
  const beyond = Namespace.create();
  Namespace.create().enter();
  let datapath: Datapath | undefined;
  let wire: FrameSocket | undefined;
  try {
    sh(`ip link add name up type veth peer name farup netns ${beyond.path}`);
    sh('ip link set dev up up');
    sh('ip tuntap add dev under mode tun');
    sh('ip link set dev under up');
    sh(`ip address add ${OUTER[4].node}/24 dev under`);
    sh(`ip address add ${INNER[4].vip} dev lo`);
    beyond.run(() => {
      sh('ip link set dev farup up');
      wire = new FrameSocket('farup');
    });
    const VIP = { address: INNER[4].vip, port: PORT };
    datapath = Datapath.start({
      uplinks: ['up'],
      underlay: OUTER[4].node,
      vips: [VIP],
      cookie: COOKIE,
      hashSeed: 1,
      pinDirectory: `${scratch.path}/bpf`,
      ticketsMax: 4_096,
      ownFlowsMax: 4_096,
      ringBytes: 65_536,
    });
    const slot = datapath.nodes.place({ address: OUTER[4].peer, boot: 21, state: 'alive' });
    const from = { address: INNER[4].client, port: 30_000 };
    datapath.tickets.learn(flowKey(from, VIP), slot);
    datapath.tickets.flush();
    for (let i = 0; i < 3; i++) {
      wire!.send(
        tcpFrame({ from: from.address, fromPort: from.port, to: VIP.address, toPort: PORT }),
      );
      await sleep(20);
    }
    assert.deepEqual(datapath.ways.read(), { device: 3, direct: 0 });
  } finally {
    wire?.close();
    datapath?.remove();
    scratch.drop('bpf');
    home.enter();
  }
});
