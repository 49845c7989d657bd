/** `npm run sim`: many worlds with faults, their invariants, and one line of JSON. */
import { parseArgs } from 'node:util';
import { runSim } from './report.ts';

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '20' },
    seeds: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    loss: { type: 'string' },
    'no-tickets': { type: 'boolean', default: false },
  },
});

const isGood = await runSim({
  nodes: Number(values.nodes),
  seeds: Number(values.seeds),
  seed: Number(values.seed),
  loss: values.loss === undefined ? undefined : Number(values.loss),
  tickets: !values['no-tickets'],
});
process.exitCode = isGood ? 0 : 1;
