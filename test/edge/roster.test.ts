import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Roster } from '../../src/edge/roster.ts';

const entry = (name: number) => ({ name, place: -1 });

test('holds what was added and not deleted, whatever the order', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(9))), (steps) => {
      const list = new Roster<ReturnType<typeof entry>>();
      const entries = Array.from({ length: 10 }, (_, i) => entry(i));
      const model = new Set<number>();
      for (const [adds, i] of steps) {
        if (adds) {
          list.add(entries[i]!);
          model.add(i);
        } else {
          list.delete(entries[i]!);
          model.delete(i);
        }
        assert.equal(list.size, model.size);
        assert.deepEqual([...list].map(({ name }) => name).toSorted(), [...model].toSorted());
      }
    }),
  );
});

test('entries may leave while the list is gone through; each is given once', () => {
  const list = new Roster<ReturnType<typeof entry>>();
  const entries = Array.from({ length: 6 }, (_, i) => entry(i));
  for (const one of entries) list.add(one);
  const given: number[] = [];
  for (const one of list) {
    given.push(one.name);
    list.delete(one);
    if (one.name === 4) list.add(entry(9));
  }
  assert.deepEqual(given.toSorted(), [0, 1, 2, 3, 4, 5]);
  assert.equal(list.size, 1);
});
