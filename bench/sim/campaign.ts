import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { TrialResult } from '../../src/sync/sim/trial.ts';
import type { BatchAnswer, BatchOrder } from './batch.ts';

export interface CampaignOptions {
  readonly nodes: number;
  /** How many worlds. */
  readonly seeds: number;
  /** The first seed; the others follow it. */
  readonly seed: number;
  /** Share of datagrams lost; default by the seed, 0 to 10 %. */
  readonly loss?: number | undefined;
  /** With flow tickets, which takes longer. */
  readonly tickets: boolean;
  /** Called after each world. */
  readonly progress?: (done: number, failed: number) => void;
}

export interface CampaignResult {
  readonly nodes: number;
  readonly seeds: number;
  readonly failed: readonly number[];
  readonly failures: readonly TrialResult[];
  readonly virtualS: number;
  readonly events: number;
  readonly datagrams: number;
  readonly bytesPerNodePerSecond: number;
  readonly wallS: number;
  readonly threads: number;
  /** Over the hashes of all worlds. */
  readonly traceHash: string;
}

const FAILURES_SHOWN_MAX = 20;
/**
 * Packets under way live for milliseconds of the world and are many; room for them before they are
 * collected took 10 % off a campaign. Semi-space is a third of it.
 */
const YOUNG_MB = 192;
/** Compiled or not, the worker is beside this file. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js',
  import.meta.url,
);

/** Runs worlds on all cores. Rejects when a thread dies. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { nodes, seeds, seed, loss, tickets } = options;
  const startedMs = performance.now();
  const threads = Math.max(1, Math.min(availableParallelism(), seeds));
  // Small batches keep the cores busy to the end, large worlds go one by one.
  const batch = Math.max(1, Math.min(10, Math.floor(200 / nodes)));
  let next = 0;
  const results: TrialResult[] = [];
  let failed = 0;
  const runWorker = async (): Promise<void> => {
    const worker = new Worker(WORKER, { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } });
    try {
      while (next < seeds) {
        const count = Math.min(batch, seeds - next);
        const chosen = Array.from({ length: count }, (_, i) => seed + next + i);
        next += count;
        const answer = await ask(worker, { nodes, seeds: chosen, loss, tickets });
        results.push(...answer.results);
        failed += answer.results.filter((result) => result.failures.length > 0).length;
        options.progress?.(results.length, failed);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: threads }, runWorker));
  results.sort((a, b) => a.seed - b.seed);
  const broken = results.filter((result) => result.failures.length > 0);
  const sum = (of: (result: TrialResult) => number) =>
    results.reduce((total, result) => total + of(result), 0);
  return {
    nodes,
    seeds,
    failed: broken.map((result) => result.seed),
    failures: broken.slice(0, FAILURES_SHOWN_MAX),
    virtualS: Math.round(sum((result) => result.virtualMs) / 1_000),
    events: sum((result) => result.events),
    datagrams: sum((result) => result.datagrams),
    bytesPerNodePerSecond: Math.round(sum((result) => result.bytesPerNodePerSecond) / seeds),
    wallS: Math.round(performance.now() - startedMs) / 1_000,
    threads,
    traceHash: joinHashes(results),
  };
}

function ask(worker: Worker, order: BatchOrder): Promise<BatchAnswer> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      worker.off('message', onMessage);
      worker.off('error', onError);
      worker.off('exit', onExit);
    };
    const onMessage = (answer: BatchAnswer): void => {
      end();
      resolve(answer);
    };
    const onError = (error: unknown): void => {
      end();
      reject(error);
    };
    const onExit = (): void => {
      end();
      reject(new Error(`The thread that ran the seeds ${order.seeds.join(', ')} ended.`));
    };
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.on('exit', onExit);
    worker.postMessage(order);
  });
}

function joinHashes(results: readonly TrialResult[]): string {
  let hash = 0x811c9dc5;
  for (const { traceHash } of results) {
    hash = Math.imul(hash ^ Number.parseInt(traceHash, 16), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, '0');
}
