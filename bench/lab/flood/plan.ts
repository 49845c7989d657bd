import type { FloodTarget } from './segment.ts';

/** Bounds of any flood, whatever a scenario asks for. */
export const FLOOD_PACKETS_PER_S_MAX = 20_000;
export const FLOOD_MS_MAX = 60_000;

/** What the flooding process is told. */
export interface FloodPlan extends FloodTarget {
  readonly seed: number;
  readonly packetsPerS: number;
  readonly forMs: number;
}

const within = (value: number, max: number) => Math.min(Math.max(0, value), max);

/** How many packets must have left after `elapsedMs`. */
export function packetsDue(plan: FloodPlan, elapsedMs: number): number {
  const rate = within(plan.packetsPerS, FLOOD_PACKETS_PER_S_MAX);
  return Math.floor((rate * within(elapsedMs, within(plan.forMs, FLOOD_MS_MAX))) / 1_000);
}

/** How many it will be in all. */
export const packetsInAll = (plan: FloodPlan): number => packetsDue(plan, FLOOD_MS_MAX);

/** One line of the process's standard output. */
export interface FloodNews {
  readonly sent: number;
  /** Not taken by the kernel. */
  readonly failed: number;
}

/** Never throws; `undefined` when the line says no such thing. */
export function parseFloodNews(line: string): FloodNews | undefined {
  const match = /^sent (\d{1,9}) failed (\d{1,9})$/.exec(line);
  return match === null ? undefined : { sent: Number(match[1]), failed: Number(match[2]) };
}
