import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Namespace, scratchDirectory, sh, skipReason } from '../../bench/datapath/namespace.ts';
import {
  ACK,
  errorFrame,
  RST,
  type Segment,
  SYN,
  tcpFrame,
  udpFrame,
} from '../../bench/datapath/packets.ts';
import { type Endpoint, flowKey } from '../../src/datapath/address-bytes.ts';
import { Datapath } from '../../src/datapath/datapath.ts';
import { NO_SLOT } from '../../src/datapath/layout.ts';
import type { VerdictName } from '../../src/datapath/verdicts.ts';
import { DatagramSocket, FrameSocket } from './raw-socket.ts';

/**
 * A node with real devices, and hand-made packets from what the wire beyond them would bring:
 *
 *     frames as clients send ──▶ up ┌──────┐ under ◀── datagrams as nodes a, b and a stranger send
 *                                   │ node │
 */
const skip = skipReason();
const PORT = 443;
const COOKIE = 0x2a_bcde;
const DELIVER = 1;
const FIND = 2;
const REJECT = 3;
const NODE = '198.51.100.1';
const MEMBERS = { a: '198.51.100.2', b: '198.51.100.3', stranger: '198.51.100.9' } as const;
type Sender = keyof typeof MEMBERS;

for (const { family, client, vip, syncookies } of [
  { family: 4, client: '203.0.113.7', vip: '192.0.2.10', syncookies: false },
  { family: 6, client: '2001:db8:c::7', vip: '2001:db8:a::10', syncookies: false },
  { family: 4, client: '203.0.113.7', vip: '192.0.2.10', syncookies: true },
  { family: 6, client: '2001:db8:c::7', vip: '2001:db8:a::10', syncookies: true },
] as const) {
  describe(`tunnel and uplink with real packets, IPv${family}${syncookies ? ', SYN cookies' : ''}`, {
    skip,
  }, () => {
    const VIP = { address: vip, port: PORT };
    const scratch = scratchDirectory();
    const home = skip === false ? Namespace.current() : undefined;
    const nodes = {} as Record<Sender, DatagramSocket>;
    let datapath: Datapath;
    let wire: FrameSocket;
    let server: Server;
    let local: Socket;
    let accepted: Socket;
    let a: number;
    let b: number;
    let port = 30_000;
    let told: string[] = [];

    before(async () => {
      const beyond = Namespace.create();
      Namespace.create().enter();
      for (const [near, far] of [
        ['up', 'farup'],
        ['under', 'farunder'],
      ]) {
        sh(`ip link add name ${near} type veth peer name ${far} netns ${beyond.path}`);
      }
      // Known neighbours: no packet of a test waits for their discovery.
      sh('ip link set dev up address 02:00:00:00:00:01');
      sh('ip link set dev under address 02:00:00:00:00:04');
      for (const device of ['up', 'under']) sh(`ip link set dev ${device} up`);
      sh(`ip address add ${NODE}/24 dev under`);
      sh('ip address add 203.0.113.1/24 dev up');
      sh('ip address add 2001:db8:c::1/64 dev up nodad');
      sh(`ip neighbour add ${client} lladdr 02:00:00:00:00:02 dev up`);
      for (const address of Object.values(MEMBERS)) {
        sh(`ip neighbour add ${address} lladdr 02:00:00:00:00:03 dev under`);
      }
      for (const address of [vip, family === 4 ? '203.0.113.70' : '2001:db8:c::70']) {
        sh(`ip address add ${address} dev lo${family === 6 ? ' nodad' : ''}`);
      }
      sh(`sysctl -qw net.ipv4.tcp_syncookies=${syncookies ? 2 : 1}`);
      // What is not in the routes must not be dropped before we see it.
      sh('sysctl -qw net.ipv4.conf.up.rp_filter=0 net.ipv4.conf.all.rp_filter=0');
      beyond.run(() => {
        sh('ip link set dev farunder address 02:00:00:00:00:03');
        for (const device of ['farup', 'farunder']) sh(`ip link set dev ${device} up`);
        for (const address of Object.values(MEMBERS)) {
          sh(`ip address add ${address}/24 dev farunder`);
        }
        sh(`ip neighbour add ${NODE} lladdr 02:00:00:00:00:04 dev farunder`);
        wire = new FrameSocket('farup');
        for (const [name, address] of Object.entries(MEMBERS)) {
          nodes[name as Sender] = new DatagramSocket(address, 4_789);
        }
      });
      server = createServer();
      server.listen(PORT, vip);
      await once(server, 'listening');
      datapath = Datapath.start({
        uplinks: ['up'],
        underlay: NODE,
        vips: [VIP],
        cookie: COOKIE,
        hashSeed: 1,
        pinDirectory: `${scratch.path}/bpf`,
        graceMs: 60_000,
        ticketsMax: 4_096,
        ownFlowsMax: 4_096,
        ringBytes: 65_536,
      });
      a = datapath.nodes.place({ address: MEMBERS.a, boot: 21, state: 'alive' });
      b = datapath.nodes.place({ address: MEMBERS.b, boot: 31, state: 'alive' });
      homesAre(datapath.self);
      local = connect({
        host: vip,
        port: PORT,
        localAddress: family === 4 ? '203.0.113.70' : '2001:db8:c::70',
      });
      [accepted] = (await once(server, 'connection')) as [Socket];
    });

    after(() => {
      local?.destroy();
      accepted?.destroy();
      server?.close();
      for (const one of [wire, ...Object.values(nodes)]) one?.close();
      datapath?.remove();
      scratch.drop('bpf');
      home?.enter();
    });

    beforeEach(() => {
      events();
      wire.receiveAll();
      for (const one of Object.values(nodes)) one.receiveAll();
    });

    function homesAre(...slots: number[]): void {
      const rows = new Uint16Array(65_536 * 3).fill(NO_SLOT);
      for (let at = 0; at < rows.length; at += 3) rows.set(slots, at);
      datapath.homes.publish(rows);
    }

    function events(): string[] {
      told = [];
      const name = (slot: number) => (slot === a ? 'a' : slot === b ? 'b' : 'self');
      datapath.events.drain(
        {
          born: (_key, _bucket, _generation, whole) => told.push(whole ? 'born whole' : 'born'),
          kept: () => told.push('kept'),
          ended: () => told.push('ended'),
          search: (_key, _bucket, except) =>
            told.push(except === undefined ? 'search' : `search except ${name(except)}`),
          switched: (_key, _bucket, owner) => told.push(`switched to ${name(owner)}`),
          found: (_key, _bucket, entry) => told.push(`found for ${name(entry)}`),
          refused: (_key, _bucket, owner) => told.push(`refused by ${name(owner)}`),
        },
        1_000,
      );
      return told;
    }

    const fresh = (): Endpoint => ({ address: client, port: port++ });
    const held = (): Endpoint => ({
      address: local.localAddress!,
      port: local.localPort!,
    });
    const segment = (from: Endpoint, more: Partial<Segment> = {}): Segment => ({
      from: from.address,
      fromPort: from.port,
      to: vip,
      toPort: PORT,
      ...more,
    });
    const learn = (from: Endpoint, owner: number): void => {
      datapath.tickets.learn(flowKey(from, VIP), owner);
      datapath.tickets.flush();
    };

    /** The verdict that `send` causes, other than the noise of neighbour discovery. */
    function verdictOf(send: () => void): VerdictName | 'none' {
      const ignored = new Set<string>([
        'other',
        'away',
        'born',
        'born_again',
        'tunnel_away',
        'tunnel_seen',
      ]);
      const before = datapath.verdicts.read();
      send();
      for (let turn = 0; turn < 2_000; turn++) {
        const now = datapath.verdicts.read();
        const changed = (Object.keys(now) as VerdictName[]).filter(
          (name) => now[name] !== before[name] && !ignored.has(name),
        );
        assert.ok(changed.length <= 1, `one packet, verdicts ${changed.join(' ')}`);
        if (changed[0] !== undefined) return changed[0];
      }
      return 'none';
    }

    function datagram(stage: number, cookie: number, inner: Uint8Array): Buffer {
      const head = Buffer.alloc(8);
      head.writeUInt8(8, 0);
      head.writeUInt32BE((((stage << 22) | cookie) << 8) >>> 0, 4);
      // The destination is the tunnel device's, as a node would write it.
      return Buffer.concat([
        head,
        Buffer.from('026866000001026866000002', 'hex'),
        inner.subarray(12),
      ]);
    }

    /** Sends an inner frame as another node would. */
    const from = (sender: Sender, stage: number, inner: Uint8Array, cookie = COOKIE) =>
      verdictOf(() => nodes[sender].send(datagram(stage, cookie, inner), NODE, 4_789));

    /** What the other nodes got: `a:DELIVER` and the inner frame, addresses aside. */
    function sent(): { to: string; inner: Buffer }[] {
      const stages = ['?', 'DELIVER', 'FIND', 'REJECT'];
      return Object.entries(nodes).flatMap(([name, one]) =>
        one.receiveAll().map((got) => {
          const identifier = got.readUInt32BE(4) >>> 8;
          assert.equal(identifier & 0x3f_ffff, COOKIE);
          return { to: `${name}:${stages[identifier >>> 22]}`, inner: got.subarray(8 + 12) };
        }),
      );
    }

    /** The packet arrived unharmed at exactly this node. */
    function expectSent(to: string, inner: Uint8Array): void {
      const got = sent();
      assert.deepEqual(
        got.map((one) => one.to),
        [to],
      );
      assert.deepEqual(got[0]!.inner, Buffer.from(inner.subarray(12)));
    }

    if (syncookies) {
      test('a SYN cookie of this node makes the last packet of the handshake its own', () => {
        const who = fresh();
        wire.receiveAll();
        wire.send(tcpFrame(segment(who, { flags: SYN, seq: 1_000 })));
        const isn = synAckNumber(who);
        learn(who, a);
        const ack = (number: number) =>
          tcpFrame(segment(who, { flags: ACK, seq: 1_001, ack: number }));
        assert.equal(
          verdictOf(() => wire.send(ack(isn + 98_765))),
          'relay_ticket',
          'not our cookie',
        );
        assert.equal(from('a', DELIVER, ack(isn + 98_765)), 'reject_deliver');
        assert.equal(from('a', DELIVER, ack(isn + 1)), 'delivered');
        assert.equal(datapath.tracer.holds(flowKey(who, VIP)), 'socket', 'the kernel agrees');
        const other = fresh();
        wire.receiveAll();
        wire.send(tcpFrame(segment(other, { flags: SYN, seq: 1_000 })));
        const second = synAckNumber(other);
        const last = tcpFrame(segment(other, { flags: ACK, seq: 1_001, ack: second + 1 }));
        assert.equal(
          verdictOf(() => wire.send(last)),
          'cookie',
        );
        assert.deepEqual(
          events().filter((what) => what === 'kept').length,
          2,
          'the ticket born with the SYN-ACK is kept',
        );
      });
      return;
    }

    /** Initial sequence number of the SYN-ACK that left for the flow. */
    function synAckNumber(who: Endpoint): number {
      const at = family === 4 ? 34 : 54;
      for (let turn = 0; turn < 2_000; turn++) {
        const got = wire.receive();
        if (got === undefined || got.length < at + 20) continue;
        const isSynAck = (got[at + 13]! & 0x3f) === (SYN | ACK);
        if (isSynAck && got.readUInt16BE(at + 2) === who.port) return got.readUInt32BE(at + 4);
      }
      throw new Error('no SYN-ACK');
    }

    test('what is not of this cluster, or not from a member, is dropped', () => {
      const packet = tcpFrame(segment(fresh()));
      assert.equal(from('a', DELIVER, packet, COOKIE ^ 1), 'bad_cookie');
      assert.equal(from('stranger', DELIVER, packet), 'bad_sender');
      assert.deepEqual(sent(), []);
    });

    test('what a node never sends is dropped', () => {
      const packet = tcpFrame(segment(fresh()));
      assert.equal(from('a', 0, packet), 'bad_inner');
      assert.equal(from('a', DELIVER, tcpFrame(segment(fresh(), { toPort: 80 }))), 'bad_inner');
      assert.equal(from('a', DELIVER, tcpFrame(segment(fresh(), { flags: SYN }))), 'bad_inner');
      assert.equal(from('a', FIND, udpFrame(client, 1, vip, PORT)), 'bad_inner');
      assert.deepEqual(sent(), []);
    });

    test('a delivered packet reaches the socket', () => {
      assert.equal(from('a', DELIVER, tcpFrame(segment(held()))), 'delivered');
      assert.deepEqual(sent(), []);
    });

    test('a delivered packet of a flow that is not here goes back', () => {
      const packet = tcpFrame(segment(fresh(), { payload: Buffer.from('twelve bytes') }));
      assert.equal(from('a', DELIVER, packet), 'reject_deliver');
      expectSent('a:REJECT', packet);
    });

    test('asked as home for a flow of its own, the node answers itself', () => {
      assert.equal(from('b', FIND, tcpFrame(segment(held()))), 'found_here');
    });

    test('asked as home with a ticket, the node passes the packet on and tells the entry once', () => {
      const who = fresh();
      learn(who, b);
      const packet = tcpFrame(segment(who));
      assert.equal(from('a', FIND, packet), 'found_there');
      expectSent('b:DELIVER', packet);
      assert.deepEqual(events(), ['found for a']);
      assert.equal(from('a', FIND, packet), 'found_there');
      assert.deepEqual(events(), []);
    });

    test('asked as home by the very node that the ticket names, the packet goes back', () => {
      const who = fresh();
      learn(who, a);
      assert.equal(from('a', FIND, tcpFrame(segment(who))), 'reject_find');
      expectSent('a:REJECT', tcpFrame(segment(who)));
    });

    test('asked as home for an unknown flow, the packet goes back', () => {
      const packet = tcpFrame(segment(fresh()));
      assert.equal(from('a', FIND, packet), 'reject_find');
      expectSent('a:REJECT', packet);
    });

    test('asked as home for a flow of a dead owner, the client gets its reset at once', () => {
      const who = fresh();
      learn(who, b);
      datapath.nodes.place({ address: MEMBERS.b, boot: 31, state: 'dead' });
      assert.equal(from('a', FIND, tcpFrame(segment(who, { ack: 77 }))), 'found_lost');
      datapath.nodes.place({ address: MEMBERS.b, boot: 31, state: 'alive' });
      const at = family === 4 ? 34 : 54;
      const resets = wire.receiveAll().filter((got) => (got[at + 13] ?? 0) & RST);
      assert.equal(resets.length, 1);
      assert.equal(resets[0]!.readUInt16BE(at + 2), who.port);
    });

    test('a refused ticket is forgotten, and the packet tries the home', () => {
      const who = fresh();
      learn(who, a);
      homesAre(b);
      const packet = tcpFrame(segment(who));
      assert.equal(from('a', REJECT, packet), 'find_again');
      homesAre(datapath.self);
      expectSent('b:FIND', packet);
      assert.deepEqual(events(), ['refused by a']);
      assert.equal(datapath.tracer.trace(flowKey(who, VIP)).ticket, undefined);
    });

    test('a packet that comes back goes on to the owner learned meanwhile', () => {
      const who = fresh();
      learn(who, b);
      assert.equal(from('a', REJECT, tcpFrame(segment(who))), 'find_again');
      expectSent('b:DELIVER', tcpFrame(segment(who)));
    });

    test('a packet that the home sent back starts a search', () => {
      const who = fresh();
      homesAre(a);
      assert.equal(from('a', REJECT, tcpFrame(segment(who))), 'search');
      assert.deepEqual(events(), ['search except a']);
      assert.equal(from('a', REJECT, tcpFrame(segment(who))), 'grace');
      homesAre(datapath.self);
      assert.deepEqual(sent(), []);
    });

    test('an ICMP error is delivered with its flow', () => {
      const who = held();
      const about: Segment = { from: vip, fromPort: PORT, to: who.address, toPort: who.port };
      const error = errorFrame(client, family === 4 ? 3 : 1, 0, about);
      assert.equal(from('a', DELIVER, error), 'delivered');
      const unknown = errorFrame(client, family === 4 ? 3 : 1, 0, { ...about, toPort: 9 });
      assert.equal(from('a', FIND, unknown), 'reject_find');
    });

    test('packets from the uplink leave for the owner and for the home', () => {
      const who = fresh();
      learn(who, a);
      const packet = tcpFrame(segment(who));
      assert.equal(
        verdictOf(() => wire.send(packet)),
        'relay_ticket',
      );
      expectSent('a:DELIVER', packet);
      const other = tcpFrame(segment(fresh()));
      homesAre(b);
      assert.equal(
        verdictOf(() => wire.send(other)),
        'find',
      );
      homesAre(datapath.self);
      expectSent('b:FIND', other);
    });

    test('of two handshakes for one flow, the acknowledged number decides whose it is', () => {
      const who = fresh();
      wire.send(tcpFrame(segment(who, { flags: SYN, seq: 1_000 })));
      const isn = synAckNumber(who);
      assert.equal(datapath.tracer.holds(flowKey(who, VIP)), 'weak');
      const ack = (number: number) =>
        tcpFrame(segment(who, { flags: ACK, seq: 1_001, ack: number }));
      // Another node's SYN-ACK was taken: our kernel would reset it.
      assert.equal(
        verdictOf(() => wire.send(ack(isn + 5))),
        'search',
      );
      learn(who, a);
      assert.equal(
        verdictOf(() => wire.send(ack(isn + 5))),
        'relay_ticket',
      );
      assert.equal(
        verdictOf(() => wire.send(ack(isn + 1))),
        'socket',
      );
      assert.equal(datapath.tracer.holds(flowKey(who, VIP)), 'socket');
      assert.deepEqual(events(), ['born', 'search except self', 'switched to a', 'kept']);
      const rst = tcpFrame(segment(who, { flags: RST, seq: 1_001 }));
      assert.equal(
        verdictOf(() => wire.send(rst)),
        'socket',
      );
      assert.deepEqual(events(), ['ended']);
    });
  });
}
