import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineConfig } from '../../src/config/define.ts';
import type { Config } from '../../src/config/schema.ts';
import { type Applier, applyToAll } from '../../src/supervisor/all-or-nothing.ts';

const config = (port: number) => defineConfig({ listen: [`:${port}`], sites: { '*': 'h:1' } });
const previous = config(1);
const next = config(2);
const refusal = { code: 'ERR_LISTEN', message: 'taken' };

/** A worker that refuses what `refuses` says. */
function worker(refuses: (to: Config) => boolean = () => false) {
  const state = { has: previous, killed: false };
  const applier: Applier = {
    apply: async (to) => {
      if (refuses(to)) return refusal;
      state.has = to;
      return undefined;
    },
    kill: () => {
      state.killed = true;
    },
  };
  return { state, applier };
}

const appliers = (workers: { applier: Applier }[]) => workers.map(({ applier }) => applier);

test('when all are willing, all have the next configuration', async () => {
  const workers = [worker(), worker(), worker()];
  assert.equal(await applyToAll(appliers(workers), next, previous), undefined);
  assert.ok(workers.every(({ state }) => state.has === next && !state.killed));
});

test('when one refuses, all have the previous configuration again', async () => {
  const workers = [worker(), worker((to) => to === next), worker()];
  assert.equal(await applyToAll(appliers(workers), next, previous), refusal);
  assert.ok(workers.every(({ state }) => state.has === previous && !state.killed));
});

test('a worker that cannot go back is ended, and no other', async () => {
  const stuck = worker((to) => to === previous);
  const workers = [worker(), stuck, worker((to) => to === next)];
  assert.equal(await applyToAll(appliers(workers), next, previous), refusal);
  assert.deepEqual(
    workers.map(({ state }) => state.killed),
    [false, true, false],
  );
});

test('without workers there is nothing to refuse', async () => {
  assert.equal(await applyToAll([], next, previous), undefined);
});
