/** Simulated worlds: the invariants hold, and they can fail. `npm run sim` runs many more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionPart } from '../../../bench/sim/sessions.ts';
import { ticketPart } from '../../../bench/sim/tickets.ts';
import type { FaultName } from '../../../src/sync/sim/faults.ts';
import { measureDetection, measureRumour, measureStalls } from '../../../src/sync/sim/measures.ts';
import { runTrial, type TrialOptions } from '../../../src/sync/sim/trial.ts';
import { World } from '../../../src/sync/sim/world.ts';

function failuresOf(options: Omit<TrialOptions, 'seed'>, seeds: readonly number[]): string[] {
  return seeds.flatMap((seed) =>
    runTrial({ ...options, seed }).failures.map((failure) => `seed ${seed}: ${failure}`),
  );
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

for (const [nodes, count] of [
  [2, 20],
  [3, 20],
  [5, 12],
  [20, 12],
] as const) {
  test(`every invariant holds in worlds of ${nodes} nodes`, () => {
    assert.deepEqual(failuresOf({ nodes }, range(1, count)), []);
  });
}

test('every invariant holds with flow tickets under load', () => {
  const failures = range(1, 8).flatMap((seed) =>
    runTrial({ nodes: 12, seed, parts: [ticketPart(seed)] }).failures.map((f) => `${seed}: ${f}`),
  );
  assert.deepEqual(failures, []);
});

test('every invariant holds with session records that are written, taken over and dropped', () => {
  const failures = [...range(1, 6), 22].flatMap((seed) => {
    const tickets = ticketPart(seed);
    const parts = [tickets, sessionPart(tickets.homesOf)];
    return runTrial({ nodes: 12, seed, parts }).failures.map((f) => `${seed}: ${f}`);
  });
  assert.deepEqual(failures, []);
});

test('without further attempts session records are missing at their homes', () => {
  const failures = range(1, 4).flatMap((seed) => {
    const tickets = ticketPart(seed);
    // So few that a life is too short for them.
    const parts = [tickets, sessionPart(tickets.homesOf, { putsPerSecond: 0.02 })];
    return runTrial({ nodes: 12, seed, parts }).failures;
  });
  assert.ok(
    failures.some((failure) => failure.includes('is not at its home')),
    failures.join('\n'),
  );
});

test('a clock that leaps while a death is certain does not delay it', () => {
  const parts = [ticketPart(160)];
  const result = runTrial({ nodes: 20, seed: 160, faults: ['crash', 'clockJump', 'leave'], parts });
  assert.deepEqual(result.failures, []);
});

test('half of all nodes restart at once, again and again', () => {
  const faults: FaultName[] = ['halfRestart', 'halfRestart', 'halfRestart'];
  assert.deepEqual(failuresOf({ nodes: 20, faults }, [71, 72, 73]), []);
});

test('the same seed gives the same trace, another seed another', () => {
  const hash = (seed: number) => runTrial({ nodes: 8, seed, parts: [ticketPart(seed)] }).traceHash;
  assert.equal(hash(3), hash(3));
  assert.notEqual(hash(3), hash(4));
});

// Negative controls: each guard is worth having, because without it the checks fail.

test('without refutation healthy nodes are declared dead', () => {
  const settings = { refutation: false };
  const faults: FaultName[] = ['partition', 'stall'];
  assert.notDeepEqual(failuresOf({ nodes: 20, faults, settings, loss: 0.1 }, range(1, 3)), []);
});

test('without the stall guard a node that stood still kills one that has long refuted', () => {
  const deaths = (stallGuard: boolean) => {
    const world = new World({ nodes: 20, seed: 9, settings: { stallGuard } });
    world.runUntil(6_000);
    const [accused, sleeper] = [world.nodes[7]!, world.nodes[12]!];
    const dead: string[] = [];
    let isAsleep = false;
    world.onMember = ({ change, member, observer }) => {
      if (member.id !== accused.id) return;
      if (change === 'dead') dead.push(observer.id);
      // It falls asleep with the suspicion, and the accused can be heard again.
      if (change !== 'suspect' || observer !== sleeper || isAsleep) return;
      isAsleep = true;
      world.stall(sleeper, 25_000);
      world.network.heal();
    };
    for (let other = 0; other < 20; other += 1) {
      if (other !== accused.index) world.network.cut(accused.index, other);
    }
    world.runUntil(60_000);
    assert.ok(isAsleep);
    return dead;
  };
  assert.deepEqual(deaths(true), []);
  assert.deepEqual(deaths(false), ['n012']);
});

test('without full exchanges a newcomer does not know everybody soon', () => {
  const known = (exchange: boolean) => {
    const world = new World({
      nodes: 40,
      seed: 6,
      network: { loss: 0.05 },
      settings: { exchange },
    });
    world.runUntil(10_000);
    const newcomer = world.nodes[20]!;
    world.crash(newcomer, true);
    world.runUntil(30_000);
    world.start(newcomer);
    world.runUntil(33_000);
    return world.view(newcomer).size;
  };
  assert.equal(known(true), 40);
  assert.ok(known(false) < 40, String(known(false)));
});

test('without anti-entropy flow tickets are missing at their homes', () => {
  const failures = range(1, 6).flatMap(
    (seed) =>
      runTrial({
        nodes: 12,
        seed,
        loss: 0.1,
        faults: ['partition', 'stall'],
        parts: [ticketPart(seed, { antiEntropy: false })],
      }).failures,
  );
  assert.ok(
    failures.some((failure) => failure.includes('is not at its home')),
    failures.join('\n'),
  );
});

test('without requests for missing frames new flow tickets are late at their homes', () => {
  const failures = (retransmit: boolean) =>
    range(1, 6).flatMap(
      (seed) =>
        runTrial({
          nodes: 12,
          seed,
          loss: 0.1,
          faults: [],
          parts: [ticketPart(seed, { stream: { retransmit } })],
        }).failures,
    );
  assert.deepEqual(failures(true), []);
  const late = failures(false);
  assert.ok(
    late.some((failure) => /new flow .* is late at its home/.test(failure)),
    late.join('\n'),
  );
});

// The numbers that the mesh promises, in small.

test('a crash is noticed in time at 5 % loss, and nobody healthy is declared dead', () => {
  const ten = measureDetection({ nodes: 10, seed: 5, loss: 0.05 }, 12);
  assert.ok(ten.firstS.max <= 4.7, JSON.stringify(ten));
  const hundred = measureDetection({ nodes: 100, seed: 5, loss: 0.05 }, 2);
  assert.ok(hundred.firstS.max <= 8.7, JSON.stringify(hundred));
  assert.equal(ten.healthyDeclaredDead + hundred.healthyDeclaredDead, 0);
});

test('a rumour is everywhere within 0.6 s at 5 % loss', () => {
  const rumours = measureRumour({ nodes: 100, seed: 5, loss: 0.05 }, 10);
  assert.equal(rumours.missed, 0);
  assert.ok(rumours.allMs.max <= 600, JSON.stringify(rumours));
});

test('nodes that stand still again and again take no healthy one with them', () => {
  const result = measureStalls({ nodes: 30, seed: 1, loss: 0.02 }, 5, 12_000, 120_000);
  assert.ok(result.stalls > 20);
  assert.equal(result.deathsDeclared, 0);
});

test('no life of a node is met twice, whatever others remember of older ones', () => {
  // Half of all nodes come back at once: they hear of each other's old and new lives in any order.
  for (const seed of [4, 5, 9]) {
    const world = new World({ nodes: 20, seed });
    world.runUntil(6_000);
    const restarted = world.nodes.slice(1, 12);
    for (const node of restarted) world.crash(node);
    world.runUntil(7_500);
    const met: string[] = [];
    world.onMember = ({ change, member, observer }) => {
      if (change !== 'run' && change !== 'boot' && change !== 'joined') return;
      met.push(`${observer.run} met ${member.run} of ${member.id}`);
    };
    for (const node of restarted) world.start(node);
    world.runUntil(20_000);
    assert.ok(met.length > 200);
    assert.deepEqual(
      met.filter((life, i) => met.indexOf(life) !== i),
      [],
    );
  }
});

test('two nodes of one name are noticed', () => {
  const world = new World({ nodes: 4, seed: 1 });
  world.runUntil(3_000);
  const [, , third, fourth] = world.nodes;
  // The fourth machine was set up as a copy of the third.
  world.crash(fourth!);
  Object.defineProperty(fourth!, 'id', { value: third!.id });
  world.start(fourth!);
  world.runUntil(60_000);
  assert.ok(world.notices.some(({ type }) => type === 'nameConflict'));
});
