import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Namespace, skipReason } from '../../bench/datapath/namespace.ts';
import { tcpFrame } from '../../bench/datapath/packets.ts';
import { ProgramBench } from '../../bench/datapath/program-bench.ts';
import { flowKey } from '../../src/datapath/address-bytes.ts';
import { EventPump } from '../../src/datapath/event-pump.ts';
import { EventRing } from '../../src/datapath/event-ring.ts';
import { NodeTable } from '../../src/datapath/node-table.ts';

const VIP = { address: '192.0.2.10', port: 443 };

describe('what the agent writes and reads', { skip: skipReason() }, () => {
  let bench: ProgramBench;
  let home: Namespace;
  const key = (port: number) => flowKey({ address: '203.0.113.7', port }, VIP);
  const ownerOf = (port: number) => bench.tracer.trace(key(port)).ticket?.owner;

  before(() => {
    home = Namespace.current();
    Namespace.create().enter();
    bench = new ProgramBench([VIP]);
  });
  after(() => {
    bench?.close();
    home?.enter();
  });

  test('tickets learned and forgotten take effect in their order', () => {
    const { tickets, a, b } = bench;
    tickets.learn(key(1), a);
    tickets.forget(key(1));
    tickets.learn(key(1), b);
    tickets.learn(key(2), a);
    tickets.learn(key(2), b);
    tickets.learn(key(3), a);
    tickets.forget(key(3));
    tickets.flush();
    assert.deepEqual([ownerOf(1), ownerOf(2), ownerOf(3)], [b, b, undefined]);
    assert.equal(tickets.refused, 0);
  });

  test('forgetting what is not there does not stop the rest of a batch', () => {
    const { tickets, a } = bench;
    for (let port = 100; port < 120; port++) if (port % 3 !== 0) tickets.learn(key(port), a);
    tickets.flush();
    for (let port = 100; port < 120; port++) tickets.forget(key(port));
    tickets.flush();
    for (let port = 100; port < 120; port++) assert.equal(ownerOf(port), undefined);
    assert.equal(tickets.refused, 0);
  });

  test('more tickets than a batch holds all arrive', () => {
    for (let port = 1; port <= 10_000; port++) bench.tickets.learn(key(port), bench.b);
    bench.tickets.flush();
    for (let port = 1; port <= 10_000; port += 97) assert.equal(ownerOf(port), bench.b);
  });

  test('a slot stays with its address, and a cleared one is given out again', () => {
    const { nodes } = bench;
    const c = nodes.place({ address: '2001:0db8:b::9', boot: 1, state: 'alive' });
    assert.equal(nodes.place({ address: '2001:db8:b:0::9', boot: 2, state: 'suspect' }), c);
    assert.deepEqual(nodes.get(c), { address: '2001:db8:b::9', boot: 2, state: 'suspect' });
    const object = bench.object;
    const later = new NodeTable(object.map('hf_nodes'), object.map('hf_members'));
    assert.equal(later.slotOf('2001:db8:b::9'), c);
    later.close();
    nodes.clear(c);
    assert.equal(nodes.get(c), undefined);
    assert.equal(nodes.slotOf('2001:db8:b::9'), undefined);
    assert.equal(nodes.place({ address: '198.51.100.77', boot: 3, state: 'alive' }), c);
    nodes.clear(c);
  });

  test('a table of homes is translated from the caller’s numbers to slots', () => {
    const rows = new Uint16Array(65_536 * 3).fill(0xffff);
    for (let at = 0; at < rows.length; at += 3) rows.set([7, 500, 2], at);
    const slots = new Uint16Array(8).fill(0xffff);
    slots[7] = bench.b;
    slots[2] = bench.a;
    bench.homes.publish(rows, slots);
    assert.deepEqual([...bench.homes.rows.subarray(0, 3)], [bench.b, 0xffff, bench.a]);
    assert.throws(() => bench.homes.publish(new Uint16Array(3)), /65536 rows of 3/);
    bench.homesAre(bench.self);
  });

  test('the pump reads what comes, says so once a round, and stops when told', async () => {
    const ring = new EventRing(bench.object.map('hf_events'), 65_536);
    const ports: number[] = [];
    let rounds = 0;
    const ignore = () => {};
    const pump = new EventPump(
      ring,
      {
        born: ignore,
        kept: ignore,
        ended: ignore,
        search: (found) => {
          ports.push(((found[8]! & 0xff) << 8) | ((found[8]! >>> 8) & 0xff));
        },
        switched: ignore,
        found: ignore,
        refused: ignore,
      },
      { afterRound: () => rounds++, idleMs: 2 },
    );
    const packet = (port: number) =>
      tcpFrame({ from: '203.0.113.8', fromPort: port, to: VIP.address, toPort: VIP.port });
    const told = ['search'];
    assert.deepEqual(bench.run('hf_uplink', packet(1)).events, told, 'the bench reads it itself');
    pump.start();
    pump.start();
    bench.runOnly('hf_uplink', packet(2));
    bench.runOnly('hf_uplink', packet(3));
    for (let turn = 0; ports.length < 2 && turn < 500; turn++) await sleep(2);
    assert.deepEqual(ports, [2, 3]);
    assert.ok(rounds >= 1);
    pump.stop();
    bench.runOnly('hf_uplink', packet(4));
    await sleep(20);
    assert.deepEqual(ports, [2, 3]);
    ring.close();
  });
});
