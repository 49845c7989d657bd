import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SwitchedFlow, SwitchedFlows } from '../../src/agent/switched-flows.ts';

const flow = (port: number): SwitchedFlow => ({
  at: '2026-01-01T00:00:00.000Z',
  client: `203.0.113.7:${port}`,
  vip: '192.0.2.10:443',
  entry: 'b',
  owner: 'a',
  foundBy: 'directory',
});

test('the last flows are shown newest first, all are counted', () => {
  const flows = new SwitchedFlows(
    () => {},
    () => {},
  );
  for (let i = 0; i < 200; i++) flows.add(0, flow(i));
  assert.equal(flows.total, 200);
  assert.equal(flows.recent.length, 64);
  assert.equal(flows.recent[0]?.client, '203.0.113.7:199');
});

test('a flap of many thousand flows writes a hundred lines a second and says what it left out', () => {
  const lines: SwitchedFlow[] = [];
  const left: number[] = [];
  const flows = new SwitchedFlows(
    (line) => lines.push(line),
    (count) => left.push(count),
  );
  for (let i = 0; i < 5_000; i++) flows.add(10, flow(i));
  assert.equal(lines.length, 100);
  flows.add(1_010, flow(1));
  assert.equal(lines.length, 101);
  assert.deepEqual(left, [4_900]);
});
