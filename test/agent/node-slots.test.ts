import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NO_SLOT, NodeSlots } from '../../src/agent/node-slots.ts';
import type { MemberChange, MemberStatus } from '../../src/sync/core.ts';
import { member, Peers, Slots } from './members.ts';

const SELF_SLOT = 1;

function world(before: Slots = new Slots()) {
  const peers = new Peers();
  const kernel = before;
  const slots = new NodeSlots(0, kernel, peers, SELF_SLOT);
  const change = (nowMs: number, peer: number, what: MemberChange, status: MemberStatus) =>
    slots.observe(nowMs, what, peer, peers.set(peer, status));
  return { peers, kernel, slots, change };
}

describe('members in the kernel’s table of nodes', () => {
  test('a member has a slot from the moment it is heard of, and both can be found by the other', () => {
    const { slots, kernel, change } = world();
    change(0, 2, 'joined', 'alive');
    const slot = slots.slotOf(2);
    assert.equal(slots.peerOf(slot), 2);
    assert.deepEqual(kernel.get(slot), { address: '198.51.100.2', boot: 1_002, state: 'alive' });
    assert.equal(slots.slotOf(3), NO_SLOT);
    assert.equal(slots.slotOf(0), SELF_SLOT);
  });

  test('a dead node’s flows are reset at once, as long as most others live', () => {
    const { kernel, change } = world();
    for (const peer of [2, 3]) change(0, peer, 'joined', 'alive');
    change(10, 2, 'suspect', 'suspect');
    assert.deepEqual(kernel.states(), { 2: 'suspect', 3: 'alive' });
    change(20, 2, 'dead', 'dead');
    assert.deepEqual(kernel.states(), { 2: 'dead', 3: 'alive' });
  });

  test('of two nodes, the survivor resets what the other owned', () => {
    const { kernel, change } = world();
    change(0, 2, 'joined', 'alive');
    change(10, 2, 'dead', 'dead');
    assert.deepEqual(kernel.states(), { 2: 'dead' });
  });

  test('a node that finds most others dead resets nothing by a guess, for a minute', () => {
    const { slots, kernel, change } = world();
    for (const peer of [2, 3]) change(0, peer, 'joined', 'alive');
    change(10, 2, 'dead', 'dead');
    change(11, 3, 'dead', 'dead');
    assert.deepEqual(kernel.states(), { 2: 'suspect', 3: 'suspect' });
    assert.equal(slots.isDoubtful(12), true);
    assert.equal(slots.nextWakeupMs(), 60_010);
    slots.tick(60_009);
    assert.deepEqual(kernel.states(), { 2: 'suspect', 3: 'suspect' });
    slots.tick(60_010);
    slots.tick(60_011);
    assert.deepEqual(kernel.states(), { 2: 'dead', 3: 'dead' });
    assert.equal(slots.isDoubtful(70_000), false);
  });

  test('when others are back after such a time, those who are really dead are reset again', () => {
    const { kernel, change } = world();
    for (const peer of [2, 3, 4]) change(0, peer, 'joined', 'alive');
    for (const peer of [2, 3, 4]) change(10, peer, 'dead', 'dead');
    for (const peer of [2, 3]) change(5_000, peer, 'alive', 'alive');
    assert.deepEqual(kernel.states(), { 2: 'alive', 3: 'alive', 4: 'dead' });
  });

  test('while the kernel of a dead agent answers, packets go on to it, for a minute at most', () => {
    const { slots, kernel, change } = world();
    for (const peer of [2, 3]) change(0, peer, 'joined', 'alive');
    change(10, 2, 'suspect', 'suspect');
    slots.answered(3_000, 2);
    change(4_000, 2, 'dead', 'dead');
    assert.deepEqual(kernel.states(), { 2: 'suspect', 3: 'alive' });
    for (let nowMs = 4_000; nowMs < 64_000; nowMs += 500) slots.answered(nowMs, 2);
    assert.deepEqual(kernel.states(), { 2: 'suspect', 3: 'alive' });
    slots.answered(64_000, 2);
    assert.deepEqual(kernel.states(), { 2: 'dead', 3: 'alive' });
  });

  test('a machine that stops to answer takes its flows with it', () => {
    const { slots, kernel, change } = world();
    for (const peer of [2, 3]) change(0, peer, 'joined', 'alive');
    change(10, 2, 'suspect', 'suspect');
    slots.answered(3_000, 2);
    change(4_000, 2, 'dead', 'dead');
    assert.equal(slots.nextWakeupMs(), 4_500);
    slots.tick(4_500);
    assert.deepEqual(kernel.states(), { 2: 'dead', 3: 'alive' });
  });

  test('an agent that said good-bye leaves a kernel behind that goes on to get packets', () => {
    const { slots, kernel, change } = world();
    for (const peer of [2, 3]) change(0, peer, 'joined', 'alive');
    change(100, 2, 'left', 'left');
    assert.deepEqual(kernel.states(), { 2: 'suspect', 3: 'alive' });
    assert.equal(slots.isDoubtful(200), false);
    slots.answered(1_000, 2);
    slots.tick(1_600);
    assert.deepEqual(kernel.states(), { 2: 'suspect', 3: 'alive' });
    slots.tick(2_500);
    assert.deepEqual(kernel.states(), { 2: 'dead', 3: 'alive' });
  });

  test('a machine whose datapath is gone gets no packets any more, unless its agent lives', () => {
    const { slots, kernel, change } = world();
    for (const peer of [2, 3]) change(0, peer, 'joined', 'alive');
    slots.bare(50, 3);
    change(100, 2, 'left', 'left');
    assert.deepEqual(kernel.states(), { 2: 'suspect', 3: 'alive' });
    slots.bare(200, 2);
    assert.deepEqual(kernel.states(), { 2: 'dead', 3: 'alive' });
    change(300, 2, 'alive', 'alive');
    change(400, 2, 'left', 'left');
    assert.deepEqual(kernel.states(), { 2: 'suspect', 3: 'alive' }, 'it had one again');
  });

  test('a new boot is written at once, so that tickets of the old one are void', () => {
    const { slots, kernel, peers, change } = world();
    change(0, 2, 'joined', 'alive');
    slots.observe(5, 'boot', 2, peers.set(2, 'alive', { boot: 77 }));
    assert.equal(kernel.get(slots.slotOf(2))?.boot, 77);
  });

  test('of two names on one address the living one counts, whichever is heard of last', () => {
    const { slots, kernel } = world();
    const old = member(2, { status: 'dead' });
    const fresh = member(5, { address: old.address });
    slots.observe(0, 'joined', 2, { ...old, status: 'alive' });
    slots.observe(1, 'joined', 5, fresh);
    slots.observe(2, 'dead', 2, old);
    assert.deepEqual(kernel.states(), { 2: 'alive' });
    assert.equal(kernel.get(slots.slotOf(5))?.boot, fresh.boot);
    assert.equal(slots.slotOf(2), NO_SLOT);
  });

  test('a forgotten node’s slot is free', () => {
    const { slots, kernel, change } = world();
    change(0, 2, 'joined', 'alive');
    const { changes } = slots;
    change(1, 2, 'forgotten', 'dead');
    assert.equal(kernel.entries.size, 0);
    assert.equal(slots.slotOf(2), NO_SLOT);
    assert.ok(slots.changes > changes);
  });

  test('slots of an earlier agent are claimed by members; the rest goes after a minute in company', () => {
    const before = new Slots();
    before.place({ address: '198.51.100.2', boot: 1_002, state: 'alive' });
    before.place({ address: '198.51.100.9', boot: 9, state: 'alive' });
    const { slots, kernel, change } = world(before);
    assert.equal(slots.unclaimed, 2);
    slots.tick(60_000);
    assert.equal(kernel.entries.size, 2, 'nobody is here to say who is gone');
    change(60_001, 2, 'joined', 'alive');
    assert.equal(slots.unclaimed, 1);
    slots.tick(120_000);
    assert.deepEqual(kernel.states(), { 2: 'alive' });
  });
});
