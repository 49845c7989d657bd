/**
 * Sends a bounded number of packets at a bounded rate, and ends.
 * Usage: node flood-process.ts PLAN, a {@link FloodPlan} as JSON.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { openRawSocket } from '../lab/flood/raw-socket.ts';
import { type FloodTarget, segmentSource } from '../lab/flood/segment.ts';
import { dieWithParent } from './namespace.ts';

const PACKETS_PER_S_MAX = 50_000;
const MS_MAX = 10_000;
const EVERY_MS = 10;
/** After a pause of the process the missed packets are not all sent at once. */
const BATCH_MAX = 1_000;

export interface FloodPlan {
  readonly host: string;
  readonly packetsPerS: number;
  readonly forMs: number;
  /** What to send: made-up segments, or one IP packet, in hexadecimal, again and again. */
  readonly madeUp?: Omit<FloodTarget, 'host'> & { readonly seed: number };
  readonly packet?: string;
}

dieWithParent();
const plan = JSON.parse(process.argv[2] ?? '') as FloodPlan;
const rate = Math.min(plan.packetsPerS, PACKETS_PER_S_MAX) / 1_000;
const forMs = Math.min(plan.forMs, MS_MAX);
const { host, madeUp } = plan;
const packet = Buffer.from(plan.packet ?? '', 'hex');
const next = madeUp === undefined ? () => packet : segmentSource({ ...madeUp, host }, madeUp.seed);
const send = openRawSocket(host);
const startMs = performance.now();
let sent = 0;
for (let nowMs = startMs; nowMs - startMs < forMs; nowMs = performance.now()) {
  const due = Math.min(Math.floor((nowMs - startMs) * rate), sent + BATCH_MAX);
  for (; sent < due; sent++) send(next());
  await sleep(EVERY_MS);
}
process.disconnect?.();
