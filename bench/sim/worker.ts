/** Runs trials in a thread of its own. */
import { parentPort } from 'node:worker_threads';
import { runTrial, type TrialResult } from '../../src/sync/sim/trial.ts';
import type { BatchAnswer, BatchOrder } from './batch.ts';
import { trialParts } from './parts.ts';

parentPort!.on('message', (order: BatchOrder) => {
  const results: TrialResult[] = order.seeds.map((seed) =>
    runTrial({
      nodes: order.nodes,
      seed,
      ...(order.loss === undefined ? {} : { loss: order.loss }),
      parts: order.tickets ? trialParts(seed) : [],
    }),
  );
  parentPort!.postMessage({ results } satisfies BatchAnswer);
});
