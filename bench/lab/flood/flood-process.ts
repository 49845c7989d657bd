/**
 * Sends a bounded number of segments at a bounded rate, and ends.
 * Usage: `node flood-process.ts PLAN`, PLAN a {@link FloodPlan} as JSON.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type FloodPlan, packetsDue, packetsInAll } from './plan.ts';
import { openRawSocket } from './raw-socket.ts';
import { segmentSource } from './segment.ts';

const BATCH_EVERY_MS = 5;
/** After a pause of the process the missed packets are not all sent at once. */
const BATCH_MAX = 500;
const NEWS_EVERY_MS = 100;

const plan = JSON.parse(process.argv[2] ?? '') as FloodPlan;
const next = segmentSource(plan, plan.seed);
const send = openRawSocket(plan.host);
const total = packetsInAll(plan);
let tried = 0;
let failed = 0;
const tell = () => process.stdout.write(`sent ${tried - failed} failed ${failed}\n`);
process.stdout.on('error', () => process.exit(1));
// The lab is gone: so is the reason for the flood.
process.stdin.on('end', () => process.exit(1)).resume();
const startMs = performance.now();
let toldAtMs = startMs;
while (tried < total) {
  const nowMs = performance.now();
  const due = Math.min(packetsDue(plan, nowMs - startMs), tried + BATCH_MAX);
  for (; tried < due; tried += 1) if (!send(next())) failed += 1;
  if (nowMs - toldAtMs >= NEWS_EVERY_MS) {
    toldAtMs = nowMs;
    tell();
  }
  await sleep(BATCH_EVERY_MS);
}
tell();
process.stdin.destroy();
