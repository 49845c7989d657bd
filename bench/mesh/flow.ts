/** Flows by number, the same in every process of a benchmark and in tests. A core without IO. */
import {
  type FlowKey,
  KEY_WORDS,
  readShortKey,
  SHORT_KEY_BYTES,
} from '../../src/proto/ticket-key.ts';

export const FLOWS_MAX = 2 ** 24;

const bytes = new Uint8Array(SHORT_KEY_BYTES);
const view = new DataView(bytes.buffer);

/** 203.0.113.x with a port, to 192.0.2.10:443. `key` is filled. */
export function flowKey(n: number, key: FlowKey = new Uint32Array(KEY_WORDS)): FlowKey {
  view.setUint32(0, 0xcb007100 + (n >>> 16));
  view.setUint32(4, 0xc000020a);
  view.setUint16(8, n & 0xffff);
  view.setUint16(10, 443);
  readShortKey(bytes, 0, key);
  return key;
}

export function flowNumber(key: FlowKey): number {
  const ports = key[8]!;
  return ((key[3]! >>> 24) << 16) | ((ports & 0xff) << 8) | ((ports >>> 8) & 0xff);
}

export function flowBucket(n: number): number {
  return Math.imul(n, 0x9e3779b1) >>> 16;
}

/**
 * What one node's kernel holds at a time: flows are born at an even rate and live equally long,
 * whatever happens to the node's process.
 */
export interface FlowPlan {
  /** Number of the first flow; plans of different nodes do not overlap. */
  readonly first: number;
  readonly flowsPerSecond: number;
  /** Infinity for flows that do not end. */
  readonly lifeMs: number;
  /** On the machine's monotonic clock. */
  readonly startMs: number;
  readonly stopMs: number;
}

/** The live flows at a time: from `low` up to, not including, `high`. */
export function liveFlows(plan: FlowPlan, atMs: number): { low: number; high: number } {
  const untilMs = Math.min(atMs, plan.stopMs) - plan.startMs;
  const born = Math.max(0, Math.floor((untilMs * plan.flowsPerSecond) / 1_000));
  const ended = Number.isFinite(plan.lifeMs)
    ? Math.max(0, Math.floor(((untilMs - plan.lifeMs) * plan.flowsPerSecond) / 1_000))
    : 0;
  return { low: plan.first + ended, high: plan.first + born };
}
