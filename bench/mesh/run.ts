import { measureDetection, measureRumour, measureStalls } from '../../src/sync/sim/measures.ts';
import { measureChaos, measureDelivery, measureMemory } from './scenarios.ts';

export interface MeshBenchOptions {
  /** Small and short: to see that it runs, not to believe its numbers. */
  readonly quick: boolean;
  /** Only these; default all. */
  readonly only?: readonly string[] | undefined;
  readonly say: (text: string) => void;
}

const five = 0.05;

/** Each measurement by its name, in the order in which they run. */
const measurements = new Map<string, (quick: boolean) => Promise<unknown>>([
  ['delivery', (quick) => measureDelivery(10_000, quick ? 3 : 60, 0.03)],
  ['memory', (quick) => measureMemory(quick ? 100_000 : 1_000_000)],
  ['chaos', (quick) => measureChaos(quick ? 3_000 : 10_000, quick ? 12 : 120, 1)],
  [
    'detection10',
    async (quick) => measureDetection({ nodes: 10, seed: 1, loss: five }, quick ? 5 : 100),
  ],
  [
    'detection100',
    async (quick) => measureDetection({ nodes: 100, seed: 1, loss: five }, quick ? 1 : 30),
  ],
  [
    'detection500',
    async (quick) =>
      measureDetection({ nodes: quick ? 200 : 500, seed: 1, loss: five }, quick ? 1 : 8),
  ],
  [
    'rumour500',
    async (quick) =>
      measureRumour({ nodes: quick ? 200 : 500, seed: 1, loss: five }, quick ? 5 : 100),
  ],
  [
    'stalls100',
    async (quick) =>
      measureStalls({ nodes: 100, seed: 1, loss: 0 }, 10, 12_000, quick ? 30_000 : 900_000),
  ],
]);

export const measurementNames: readonly string[] = [...measurements.keys()];

/** Real sockets first, then the simulator. @returns the results by name. */
export async function runMeshBench(options: MeshBenchOptions): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = {};
  for (const [name, measure] of measurements) {
    if (options.only !== undefined && !options.only.includes(name)) continue;
    options.say(`${name} …`);
    results[name] = await measure(options.quick);
  }
  return results;
}
