/**
 * How long the event loop stands still while a homes table is built, and how long the whole takes.
 * Usage: node bench/homes/rebuild.ts [nodes]
 */
import { Homes } from '../../src/sync/homes.ts';
import { memberNamed } from './member.ts';

const nodes = Number(process.argv[2] ?? 500);

function build(homes: Homes, nowMs: number): { wholeMs: number; ticks: number; worstMs: number } {
  let wholeMs = 0;
  let worstMs = 0;
  let ticks = 0;
  do {
    const from = performance.now();
    homes.tick(nowMs);
    const took = performance.now() - from;
    wholeMs += took;
    worstMs = Math.max(worstMs, took);
    ticks++;
  } while (homes.nextWakeupMs() === 0);
  const round = (ms: number): number => Math.round(ms * 100) / 100;
  return { wholeMs: round(wholeMs), ticks, worstMs: round(worstMs) };
}

for (let round = 0; round < 3; round++) {
  const homes = new Homes();
  homes.start(0, 0, memberNamed('node-0'));
  for (let i = 1; i < nodes; i++) homes.observe(0, 'joined', i, memberNamed(`node-${i}`));
  const start = build(homes, 1_000);
  homes.observe(20_000, 'left', 7, memberNamed('node-7', { status: 'left' }));
  const leave = build(homes, 21_000);
  homes.observe(40_000, 'alive', 7, memberNamed('node-7'));
  const join = build(homes, 41_000);
  console.log(JSON.stringify({ nodes, start, leave, join }));
}
