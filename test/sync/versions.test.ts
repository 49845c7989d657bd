/** Nodes of the previous, the present and the next protocol version understand each other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ticketPart } from '../../bench/sim/tickets.ts';
import { PROTOCOL_MAX, PROTOCOL_MIN, sharedProtocol } from '../../src/proto/protocol.ts';
import { readReply } from '../../src/proto/ticket-digest.ts';
import { CHANNEL_CHECK, CHANNEL_REPLY } from '../../src/sync/directory/channels.ts';
import { runTrial } from '../../src/sync/sim/trial.ts';
import { World } from '../../src/sync/sim/world.ts';
import { churn, settled } from './directory-world.ts';

const PREVIOUS = PROTOCOL_MAX - 1;
const NEXT = PROTOCOL_MAX + 1;

test('two nodes speak the highest protocol that both know', () => {
  assert.ok(PROTOCOL_MIN <= PREVIOUS);
  const shared = (a: number, b: number) => sharedProtocol({ protocolMax: a }, { protocolMax: b });
  assert.deepEqual([shared(PREVIOUS, NEXT), shared(NEXT, PREVIOUS)], [PREVIOUS, PREVIOUS]);
  assert.equal(shared(NEXT, PROTOCOL_MAX), PROTOCOL_MAX);
});

test('only nodes that both know them exchange requests for digests and name the digest they answer', () => {
  const protocols = [PREVIOUS, PREVIOUS, PROTOCOL_MAX, PROTOCOL_MAX, NEXT];
  const world = settled({ seed: 31, nodes: protocols.length, protocols });
  const protocolOf = (id: string) => protocols[Number(id.slice(-1))]!;
  const checks: string[] = [];
  const named = new Map<boolean, number>();
  world.lose = (from, to, channel, body) => {
    const isOld = Math.min(protocolOf(from.id), protocolOf(to.id)) < PROTOCOL_MAX;
    if (channel === CHANNEL_CHECK) checks.push(`${protocolOf(from.id)}>${protocolOf(to.id)}`);
    if (channel !== CHANNEL_REPLY) return false;
    assert.equal(readReply(body)!.echo === undefined, isOld);
    named.set(isOld, (named.get(isOld) ?? 0) + 1);
    return false;
  };
  churn(world, 31, 1_000, 1_000);
  // Everybody is unsure about everybody: a death that was none, forgotten meanwhile.
  for (const node of world.nodes) world.tell(node, 'dead');
  world.run(100);
  for (const node of world.nodes) world.tell(node, 'alive');
  assert.ok(world.settle(12_000) !== undefined, `${world.fault()}`);
  assert.ok(checks.length > 0);
  assert.deepEqual(
    checks.filter((pair) => pair.includes(String(PREVIOUS))),
    [],
  );
  assert.ok(named.get(true)! > 0 && named.get(false)! > 0);
});

for (const previous of ['owner', 'home'] as const) {
  test(`tickets survive changes of the table when only the ${previous} speaks the previous protocol`, () => {
    const protocols = previous === 'owner' ? [PREVIOUS] : [PROTOCOL_MAX, PREVIOUS];
    const directory = { homes: { buckets: 256, gatherMs: 50, settleMs: 1_000, holdDownMs: 50 } };
    const world = settled({ seed: 32, nodes: 6, protocols, directory, weather: { loss: 0.05 } });
    const [, , third] = world.nodes;
    for (let round = 0; round < 6; round++) {
      churn(world, round, 300, 500);
      // The first two hear of it apart from each other.
      const change = round % 2 === 0 ? 'left' : 'alive';
      for (const seer of world.nodes) {
        world.tell(third!, change, [seer]);
        world.run(150);
      }
    }
    const passedMs = world.settle(8_000);
    assert.ok(passedMs !== undefined, `${world.fault()}`);
  });
}

test('what the next version adds is skipped and counted, and nothing of it is taken for malformed', () => {
  const part = ticketPart(1);
  const world = new World({
    nodes: 9,
    seed: 41,
    network: { loss: 0.05 },
    previousVersion: 0.34,
    nextVersion: 0.33,
    components: (peers, random, node) => part.components(peers, random, node),
  });
  part.begin(world);
  world.runUntil(30_000);
  part.quiet();
  world.runUntil(60_000);
  assert.deepEqual(part.check(world), []);
  const skipped = new Map<number, number>();
  for (const node of world.nodes) {
    const { counters, components, membership } = node.core!;
    assert.equal(world.view(node).size, 9);
    assert.equal(counters.packetsMalformed + membership.counters.claimsMalformed, 0);
    const version = node.protocolMax;
    skipped.set(version, (skipped.get(version) ?? 0) + counters.framesUnknownChannel);
    for (const component of components) {
      const { bodiesMalformed } = component.counters;
      if (bodiesMalformed !== undefined) assert.equal(bodiesMalformed, 0, node.id);
    }
  }
  assert.deepEqual([...skipped.keys()].sort(), [PREVIOUS, PROTOCOL_MAX, NEXT]);
  assert.ok(skipped.get(PREVIOUS)! > 0 && skipped.get(PROTOCOL_MAX)! > 0);
});

test('worlds of three versions converge and keep their tickets through every kind of fault', () => {
  // Even seeds mix versions; see `runTrial`.
  for (const seed of [2, 4, 6, 8, 10, 12]) {
    const { failures } = runTrial({ nodes: 15, seed, parts: [ticketPart(seed)] });
    assert.deepEqual(failures, [], `seed ${seed}`);
  }
});

test('nodes without a common protocol do not see each other', () => {
  const world = new World({ nodes: 4, seed: 3 });
  const [alone] = world.nodes.slice(-1);
  world.runUntil(5_000);
  world.crash(alone!, true);
  world.runUntil(20_000);
  // As if this were the version after the next, which dropped the present one.
  alone!.protocolMin = NEXT;
  alone!.protocolMax = NEXT + 1;
  world.start(alone!);
  world.runUntil(40_000);
  assert.deepEqual([...world.view(alone!).keys()], [alone!.id]);
  assert.equal(world.view(world.nodes[0]!).size, 3);
});
