import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Namespace, sh, skipReason } from '../../bench/datapath/namespace.ts';
import {
  ACK,
  errorFrame,
  FIN,
  fragment6,
  frame,
  mssOption,
  RST,
  type Segment,
  SYN,
  tcpFrame,
  udpFrame,
} from '../../bench/datapath/packets.ts';
import {
  DROP,
  NEXT,
  type Outcome,
  ProgramBench,
  REDIRECT,
} from '../../bench/datapath/program-bench.ts';
import { type Endpoint, flowKey } from '../../src/datapath/address-bytes.ts';
import { keyHash } from '../../src/proto/ticket-key.ts';

const skip = skipReason();

const FAMILIES = [
  {
    family: 4,
    client: '203.0.113.7',
    vip: '192.0.2.10',
    router: '203.0.113.1',
    other: '192.0.2.99',
    unreachable: [3, 4],
  },
  {
    family: 6,
    client: '2001:db8:c::7',
    vip: '2001:db8:a::10',
    router: '2001:db8:c::1',
    other: '2001:db8:a::99',
    unreachable: [2, 0],
  },
] as const;
const PORT = 443;

for (const { family, client, vip, router, other, unreachable } of FAMILIES) {
  describe(`uplink, IPv${family}`, { skip }, () => {
    let bench: ProgramBench;
    let server: Server;
    let live: Socket;
    let accepted: Socket;
    let waiting: Endpoint;
    let port = 20_000;
    let home: Namespace;

    before(async () => {
      home = Namespace.current();
      Namespace.create().enter();
      sh(`ip address add ${client} dev lo${family === 6 ? ' nodad' : ''}`);
      sh(`ip address add ${vip} dev lo${family === 6 ? ' nodad' : ''}`);
      bench = new ProgramBench([{ address: vip, port: PORT }]);
      server = createServer({ allowHalfOpen: false });
      server.listen(PORT, vip);
      await once(server, 'listening');
      [live, accepted] = await connection();
      // The side that closes first is left in TIME_WAIT.
      const [leaving, closing] = await connection();
      waiting = { address: client, port: leaving.localPort! };
      closing.end();
      leaving.resume();
      leaving.end();
      await once(leaving, 'close');
      for (let i = 0; bench.tracer.trace(flowKey(waiting, VIP)).socket !== 'TIME_WAIT'; i++) {
        assert.ok(i < 200, 'the kernel keeps TIME_WAIT');
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });

    after(() => {
      live?.destroy();
      accepted?.destroy();
      server?.close();
      bench?.close();
      home.enter();
    });

    const VIP = { address: vip, port: PORT };

    async function connection(): Promise<[Socket, Socket]> {
      const socket = connect({ host: vip, port: PORT, localAddress: client });
      const [peer] = (await once(server, 'connection')) as [Socket];
      return [socket, peer];
    }

    /** A flow that nobody used before. */
    const fresh = (): Endpoint => ({ address: client, port: port++ });
    const segment = (from: Endpoint, more: Partial<Segment> = {}): Segment => ({
      from: from.address,
      fromPort: from.port,
      to: vip,
      toPort: PORT,
      ...more,
    });
    const send = (from: Endpoint, more: Partial<Segment> = {}): Outcome =>
      bench.run('hf_uplink', tcpFrame(segment(from, more)));
    const learn = (from: Endpoint, owner: number): void => {
      bench.tickets.learn(flowKey(from, VIP), owner);
      bench.tickets.flush();
    };
    const expect = (outcome: Outcome, verdict: string, action: number, ...events: string[]) => {
      assert.deepEqual(
        { verdict: outcome.verdict, action: outcome.action, events: outcome.events },
        { verdict, action, events },
      );
    };

    test('a packet for another address or port is none of ours', () => {
      const from = fresh();
      expect(bench.run('hf_uplink', tcpFrame(segment(from, { to: other }))), 'other', NEXT);
      expect(bench.run('hf_uplink', tcpFrame(segment(from, { toPort: 80 }))), 'other', NEXT);
      expect(bench.run('hf_uplink', udpFrame(client, 53, vip, PORT)), 'other', NEXT);
    });

    test('a packet cut short is left to the stack', () => {
      const whole = tcpFrame(segment(fresh()));
      const head = family === 4 ? 34 : 54;
      for (const bytes of [head, head + 4, whole.length - 1]) {
        expect(bench.run('hf_uplink', whole.subarray(0, bytes)), 'other', NEXT);
      }
    });

    test('a SYN stays local, even when a ticket names another node', () => {
      const from = fresh();
      learn(from, bench.a);
      expect(send(from, { flags: SYN }), 'syn', NEXT);
    });

    test('a socket of this node wins over a ticket', () => {
      const from = { address: client, port: live.localPort! };
      expect(send(from), 'socket', NEXT);
      learn(from, bench.a);
      expect(send(from), 'socket', NEXT);
    });

    test('TIME_WAIT stays local until a ticket names another node', () => {
      expect(send(waiting), 'weak', NEXT);
      learn(waiting, bench.a);
      expect(send(waiting), 'relay_ticket', REDIRECT, 'switched to a by directory');
    });

    test('a ticket sends the packet to its owner, told once, with the addresses of the tunnel', () => {
      const from = fresh();
      learn(from, bench.a);
      const first = send(from);
      expect(first, 'relay_ticket', REDIRECT, 'switched to a by directory');
      assert.equal(first.out.toString('hex', 0, 12), '026866000001026866000002');
      assert.deepEqual(first.out.subarray(12), tcpFrame(segment(from)).subarray(12));
      expect(send(from), 'relay_ticket', REDIRECT);
      expect(send(from, { flags: FIN | ACK }), 'relay_ticket', REDIRECT);
      expect(send(from, { flags: RST }), 'relay_ticket', REDIRECT);
    });

    test('a suspect owner still gets its packets', () => {
      const from = fresh();
      learn(from, bench.a);
      bench.state(bench.a, 'suspect');
      const outcome = send(from);
      bench.state(bench.a, 'alive');
      assert.equal(outcome.verdict, 'relay_ticket');
    });

    test('a flow whose owner is dead is reset by the local stack at once', () => {
      const from = fresh();
      learn(from, bench.a);
      bench.state(bench.a, 'dead');
      const outcome = send(from);
      bench.state(bench.a, 'alive');
      expect(outcome, 'owner_lost', NEXT);
    });

    test('a new boot of the owner voids its tickets', () => {
      const from = fresh();
      learn(from, bench.a);
      const boot = bench.nodes.bootOf(bench.a);
      bench.state(bench.a, 'alive', boot + 1);
      const outcome = send(from);
      bench.state(bench.a, 'alive', boot);
      expect(outcome, 'owner_lost', NEXT);
    });

    test('the flow of a dead owner goes to its home first: a newer ticket may be there', () => {
      const from = fresh();
      learn(from, bench.a);
      bench.state(bench.a, 'dead');
      bench.homesAre(bench.b);
      const outcome = send(from);
      bench.homesAre(bench.self);
      bench.state(bench.a, 'alive');
      expect(outcome, 'find', REDIRECT);
    });

    test('a ticket that names this node leaves the answer to its stack', () => {
      const from = fresh();
      learn(from, bench.self);
      expect(send(from), 'own_ticket', NEXT);
    });

    test('a flow without socket and ticket goes to its home', () => {
      bench.homesAre(bench.b, bench.self);
      expect(send(fresh()), 'find', REDIRECT);
      bench.homesAre(bench.self);
    });

    test('a home that is suspect or dead is passed over', () => {
      bench.homesAre(bench.a, bench.b);
      bench.state(bench.a, 'suspect');
      const suspect = send(fresh());
      bench.state(bench.b, 'dead');
      const both = send(fresh());
      bench.state(bench.a, 'alive');
      bench.state(bench.b, 'alive');
      bench.homesAre(bench.self);
      expect(suspect, 'find', REDIRECT);
      expect(both, 'search', DROP, 'search');
    });

    test('packets of unknown flows cause a bounded number of tunnel packets', () => {
      bench.homesAre(bench.b);
      bench.config.set('finds_max', 0);
      const outcome = send(fresh());
      bench.config.set('finds_max', 100);
      bench.homesAre(bench.self);
      expect(outcome, 'find_limited', DROP);
    });

    test('an unknown flow waits while it is searched, and is reset after the time of grace', () => {
      const from = fresh();
      expect(send(from), 'search', DROP, 'search');
      expect(send(from), 'grace', DROP);
      bench.config.set('grace_ms', 0);
      const late = send(from);
      bench.config.set('forget_ms', 0);
      const much = send(from);
      bench.config.set('grace_ms', 60_000);
      bench.config.set('forget_ms', 120_000);
      expect(late, 'unknown', NEXT);
      expect(much, 'search', DROP, 'search');
    });

    test('a ticket found by the search ends the wait, and a later one begins anew', () => {
      const from = fresh();
      send(from);
      bench.tickets.learn(flowKey(from, VIP), bench.b, 'search');
      bench.tickets.flush();
      expect(send(from), 'relay_ticket', REDIRECT, 'switched to b by search');
      bench.tickets.forget(flowKey(from, VIP));
      bench.tickets.flush();
      expect(send(from), 'search', DROP, 'search');
    });

    test('ports used again by another flow begin the time of grace anew', () => {
      const from = fresh();
      expect(send(from, { seq: 0xffff_ff00 }), 'search', DROP, 'search');
      bench.config.set('grace_ms', 0);
      const near = send(from, { seq: 0x100 });
      const far = send(from, { seq: 0x7fff_0000 });
      bench.config.set('grace_ms', 60_000);
      expect(near, 'unknown', NEXT);
      expect(far, 'search', DROP, 'search');
    });

    test('over the limit of searches nothing is told, and nothing is reset by a guess', () => {
      const from = fresh();
      bench.config.set('searches_max', 0);
      const outcome = send(from);
      bench.config.set('searches_max', 100);
      expect(outcome, 'search_limited', DROP);
      expect(send(from), 'grace', DROP);
    });

    test('a RST of an unknown flow starts no search', () => {
      expect(send(fresh(), { flags: RST }), 'unknown_silent', NEXT);
    });

    test('an ICMP error follows the flow that it is about', () => {
      const from = fresh();
      const about: Segment = { from: vip, fromPort: PORT, to: client, toPort: from.port };
      const error = errorFrame(router, unreachable[0], unreachable[1], about);
      expect(bench.run('hf_uplink', error), 'unknown_silent', NEXT);
      learn(from, bench.a);
      assert.equal(bench.run('hf_uplink', error).verdict, 'relay_ticket');
      const mine = { ...about, toPort: live.localPort! };
      assert.equal(
        bench.run('hf_uplink', errorFrame(router, unreachable[0], unreachable[1], mine)).verdict,
        'socket',
      );
      if (family === 4) {
        // Of a later fragment there are no ports to read.
        const later = errorFrame(router, 3, 4, about, { fragment: 0x0010 });
        expect(bench.run('hf_uplink', later), 'other', NEXT);
      }
      const echo = errorFrame(router, family === 4 ? 8 : 128, 0, about);
      expect(bench.run('hf_uplink', echo), 'other', NEXT);
      bench.tickets.forget(flowKey(from, VIP));
      bench.tickets.flush();
      bench.homesAre(bench.b);
      const asked = bench.run('hf_uplink', error);
      bench.homesAre(bench.self);
      expect(asked, 'find', REDIRECT);
    });

    test('fragments for a VIP are counted and left alone', () => {
      const content = tcpFrame(segment(fresh())).subarray(family === 4 ? 34 : 54);
      const pieces =
        family === 4
          ? [
              frame(client, vip, 6, content, { fragment: 0x2000 }),
              frame(client, vip, 6, content, { fragment: 0x0010 }),
            ]
          : [fragment6(client, vip, 6, 0, content), fragment6(client, vip, 6, 128, content)];
      for (const piece of pieces) expect(bench.run('hf_uplink', piece), 'fragment', NEXT);
    });

    test('tunnel packets pass the uplink only when the underlay is there, from members', () => {
      const outside = udpFrame(client, 50_000, other, 4_789);
      expect(bench.run('hf_uplink', outside), 'foreign_tunnel', DROP);
      const member = family === 4 ? '198.51.100.2' : '2001:db8:b::2';
      if (family === 6) bench.nodes.place({ address: member, boot: 1, state: 'alive' });
      const inside = udpFrame(member, 50_000, other, 4_789);
      expect(bench.run('hf_uplink', inside), 'foreign_tunnel', DROP);
      bench.config.set('shared_uplink', 1);
      expect(bench.run('hf_uplink', inside), 'member_tunnel', NEXT);
      expect(bench.run('hf_uplink', outside), 'foreign_tunnel', DROP);
      bench.config.set('shared_uplink', 0);
      const first =
        family === 4
          ? udpFrame(client, 50_000, other, 4_789, { fragment: 0x2000 })
          : fragment6(client, other, 17, 0, udpFrame(client, 50_000, other, 4_789).subarray(54));
      expect(bench.run('hf_uplink', first), 'foreign_tunnel', DROP);
    });

    test('an own SYN-ACK bears a ticket, and clamps what the client may send', () => {
      const to = fresh();
      const synAck = (isn: number, mss = 1_460) =>
        bench.run(
          'hf_away',
          tcpFrame({
            from: vip,
            fromPort: PORT,
            to: to.address,
            toPort: to.port,
            flags: SYN | ACK,
            seq: isn,
            options: mssOption(mss),
          }),
        );
      const most = family === 4 ? 1_410 : 1_390;
      const first = synAck(5);
      expect(first, 'born', NEXT, 'born');
      assert.deepEqual(
        first.out,
        tcpFrame({
          from: vip,
          fromPort: PORT,
          to: to.address,
          toPort: to.port,
          flags: SYN | ACK,
          seq: 5,
          options: mssOption(most),
        }),
        'the option is smaller and the checksum is right',
      );
      expect(synAck(5), 'born_again', NEXT);
      expect(synAck(6, 536), 'born', NEXT, 'born');
      bench.config.set('births_max', 0);
      const limited = synAck(7);
      bench.config.set('births_max', 100);
      expect(limited, 'born_limited', NEXT);
    });

    test('a handshake whose place another one took is begun anew', () => {
      const flow = (port: number) => ({ address: client, port });
      const place = (port: number) => keyHash(flowKey(flow(port), VIP), 99) >>> 16;
      const seen = new Map<number, number>();
      let ports: [number, number] | undefined;
      for (let port = 1; ports === undefined; port++) {
        assert.ok(port < 20_000, 'two of so many flows share a place');
        const before = seen.get(place(port));
        if (before !== undefined) ports = [before, port];
        seen.set(place(port), port);
      }
      const synAck = (toPort: number) =>
        bench.run(
          'hf_away',
          tcpFrame({ from: vip, fromPort: PORT, to: client, toPort, flags: SYN | ACK, seq: 5 }),
        );
      const [one, other] = ports;
      expect(synAck(one), 'born', NEXT, 'born');
      expect(synAck(one), 'born_again', NEXT);
      expect(synAck(other), 'born', NEXT, 'born');
      assert.ok(bench.tracer.trace(flowKey(flow(other), VIP)).halfOpen);
      assert.ok(!bench.tracer.trace(flowKey(flow(one), VIP)).halfOpen);
      expect(synAck(one), 'born', NEXT, 'born');
    });

    test('of several VIPs each is one, and one that was taken away is one no more', () => {
      const second = { address: other, port: 8_443 };
      const syn = (to: Endpoint) =>
        bench.run('hf_uplink', tcpFrame(segment(fresh(), { ...named(to), flags: SYN }))).verdict;
      const named = ({ address, port }: Endpoint) => ({ to: address, toPort: port });
      bench.vips.replace([VIP, second]);
      assert.deepEqual([syn(VIP), syn(second)], ['syn', 'syn']);
      bench.vips.replace([second]);
      assert.deepEqual([syn(VIP), syn(second)], ['other', 'syn']);
      bench.vips.replace([]);
      assert.deepEqual([syn(VIP), syn(second)], ['other', 'other']);
      bench.vips.replace([VIP]);
      assert.deepEqual([syn(VIP), syn(second)], ['syn', 'other']);
    });

    test('leaving packets that are no SYN-ACK of a VIP are left alone', () => {
      const away = (more: Partial<Segment>) =>
        bench.run(
          'hf_away',
          tcpFrame({ from: vip, fromPort: PORT, to: client, toPort: 9, ...more }),
        );
      expect(away({ flags: ACK }), 'away', NEXT);
      expect(away({ flags: SYN }), 'away', NEXT);
      expect(away({ flags: SYN | ACK, fromPort: 80 }), 'away', NEXT);
      expect(away({ flags: SYN | ACK, from: other }), 'away', NEXT);
      expect(bench.run('hf_away', udpFrame(vip, PORT, client, 9)), 'away', NEXT);
    });

    test('the trace says what the packets find, and changes nothing', () => {
      const from = fresh();
      const key = flowKey(from, VIP);
      assert.equal(bench.tracer.trace(key).who, 'unknown');
      assert.equal(bench.tracer.trace(key).missingMs, undefined);
      assert.equal(bench.tracer.trace(key).bucket, keyHash(key, 99) & 0xffff);
      bench.homesAre(bench.b, bench.a);
      const asked = bench.tracer.trace(key);
      assert.deepEqual([asked.who, asked.how, asked.slot], ['ask', 'home', bench.b]);
      assert.deepEqual(asked.homes, [bench.b, bench.a]);
      bench.homesAre(bench.self);
      learn(from, bench.a);
      const relayed = bench.tracer.trace(key);
      assert.deepEqual([relayed.who, relayed.how, relayed.slot], ['there', 'ticket', bench.a]);
      assert.equal(relayed.ticket?.boot, bench.nodes.bootOf(bench.a));
      const here = bench.tracer.trace(flowKey({ address: client, port: live.localPort! }, VIP));
      assert.deepEqual([here.who, here.how, here.socket], ['here', 'socket', 'ESTABLISHED']);
      assert.deepEqual(bench.events(), []);
      assert.equal(
        bench.tracer.holds(flowKey({ address: client, port: live.localPort! }, VIP)),
        'socket',
      );
      assert.equal(bench.tracer.holds(flowKey(waiting, VIP)), 'weak');
      assert.equal(bench.tracer.holds(key), undefined);
    });
  });
}
