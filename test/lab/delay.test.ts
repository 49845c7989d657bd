import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DelayLine, seededChance } from '../../bench/lab/delay/delay-line.ts';
import { netemCommands, relayPlan } from '../../bench/lab/delay/plan.ts';
import { anycastTopology } from '../../bench/lab/topology.ts';
import { linkCommands } from '../../bench/lab/wiring.ts';

const line = (options: Partial<ConstructorParameters<typeof DelayLine>[0]> = {}) =>
  new DelayLine({ delayMs: 10, lossPercent: 0, framesMax: 100, chance: () => 0.5, ...options });

test('a frame comes out after the delay and not before, in the order of its coming', () => {
  const cable = line();
  cable.push(Buffer.from('a'), 0);
  cable.push(Buffer.from('b'), 4);
  assert.equal(cable.nextDueMs, 10);
  assert.equal(cable.take(9.9), undefined);
  assert.equal(cable.take(10)?.toString(), 'a');
  assert.equal(cable.take(10), undefined);
  assert.equal(cable.nextDueMs, 14);
  assert.equal(cable.take(99)?.toString(), 'b');
  assert.equal(cable.nextDueMs, undefined);
});

test('a full cable drops what comes next and forgets nothing that is under way', () => {
  const cable = line({ framesMax: 2 });
  assert.equal(cable.push(Buffer.from('a'), 0), 'under way');
  assert.equal(cable.push(Buffer.from('b'), 0), 'under way');
  assert.equal(cable.push(Buffer.from('c'), 0), 'full');
  assert.equal(cable.take(10)?.toString(), 'a');
  assert.equal(cable.push(Buffer.from('d'), 10), 'under way');
  assert.deepEqual([cable.take(20), cable.take(20)].map(String), ['b', 'd']);
});

test('a cable that changes its length does so for what comes next, and nothing overtakes', () => {
  const cable = line({ delayMs: 50 });
  cable.push(Buffer.from('a'), 0);
  cable.change({ delayMs: 5, lossPercent: 0 });
  cable.push(Buffer.from('b'), 10);
  assert.equal(cable.take(49), undefined);
  assert.deepEqual([cable.take(50), cable.take(50)].map(String), ['a', 'b']);
  cable.push(Buffer.from('c'), 60);
  assert.equal(cable.nextDueMs, 65);
  cable.change({ delayMs: 5, lossPercent: 100 });
  assert.equal(cable.push(Buffer.from('d'), 60), 'lost');
});

test('the same seed loses the same frames, and about as many as asked for', () => {
  const fates = (seed: number) => {
    const cable = line({ lossPercent: 30, framesMax: 10_000, chance: seededChance(seed) });
    return Array.from({ length: 5_000 }, () => cable.push(Buffer.alloc(1), 0));
  };
  assert.deepEqual(fates(7), fates(7));
  assert.notDeepEqual(fates(7), fates(8));
  const lost = fates(7).filter((fate) => fate === 'lost').length;
  assert.ok(lost > 1_350 && lost < 1_650, `${lost}`);
});

test('whatever goes in and comes out, no frame is doubled, lost or overtaken', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 9_000, size: 'max' }), (stepsMs) => {
      const cable = line({ delayMs: 7, framesMax: 1_000_000 });
      const out: number[] = [];
      let nowMs = 0;
      const drain = () => {
        for (let frame = cable.take(nowMs); frame !== undefined; frame = cable.take(nowMs)) {
          out.push(frame.readUInt32BE(0));
        }
      };
      stepsMs.forEach((stepMs, index) => {
        nowMs += stepMs;
        const frame = Buffer.alloc(4);
        frame.writeUInt32BE(index, 0);
        cable.push(frame, nowMs);
        if (stepMs > 15) drain();
      });
      nowMs += 7;
      drain();
      assert.deepEqual(
        out,
        stepsMs.map((_, index) => index),
      );
      assert.equal(cable.underWay, 0);
    }),
    { numRuns: 30 },
  );
});

test('only long links are given to the relay, with both ends by name', () => {
  const topology = anycastTopology({ pops: 2, delayMs: 20, lossPercent: 1, backboneDelayMs: 30 });
  const long = topology.links.filter((link) => link.impairment !== undefined);
  const plan = relayPlan(long, 'abcd', 9);
  assert.equal(plan.seed, 9);
  assert.deepEqual(plan.links[0], {
    ends: [
      { namespace: 'hfabcd-client-1', interface: 'access' },
      { namespace: 'hfabcd-router', interface: 'client-1' },
    ],
    delayMs: 20,
    lossPercent: 1,
  });
  // Two cables lie between two PoPs.
  assert.deepEqual(
    plan.links.slice(1).map((link) => [link.ends[1].interface, link.delayMs]),
    [
      ['pop-a', 15],
      ['pop-b', 15],
    ],
  );
  const cables = topology.links.filter((link) => !long.includes(link));
  assert.equal(linkCommands(topology, 'abcd', cables).length, topology.links.length - 3);
});

test('netem is told of both ends of each long link', () => {
  const topology = anycastTopology({ pops: 2, delayMs: 20 });
  const long = topology.links.filter((link) => link.impairment !== undefined);
  assert.deepEqual(
    netemCommands(long, 'abcd').map((argv) => argv.join(' ')),
    [
      'tc -n hfabcd-client-1 qdisc replace dev access root netem limit 20000 delay 20ms loss 0%',
      'tc -n hfabcd-router qdisc replace dev client-1 root netem limit 20000 delay 20ms loss 0%',
    ],
  );
});

test('a delay out of bounds is refused by the name of its option', () => {
  assert.throws(() => anycastTopology({ delayMs: -1 }), /--delay must be a number from 0 to 2000/);
  assert.throws(() => anycastTopology({ lossPercent: 51 }), /--loss/);
  assert.throws(() => anycastTopology({ backboneDelayMs: Number.NaN }), /--backbone-delay/);
});
