/** What a stream client process is told: one JSON argument. */
export interface StreamPlan {
  readonly baseUrl: string;
  readonly sessions: readonly string[];
  /** Makes the streams' texts differ from those of another seed. */
  readonly seed: number;
  /** Messages per session. */
  readonly count: number;
  /** From one message to the next. */
  readonly everyMs: number;
  readonly messageBytes: number;
  readonly stallMs: number;
}

/** How many messages fit into a session of `durationMs`. */
export function messageCount(durationMs: number, everyMs: number): number {
  return Math.max(1, Math.floor(durationMs / everyMs));
}

/** Name of a stream, part of each of its messages. */
export const streamName = (session: string, seed: number): string => `${session}.${seed}`;

/** Phase of stream `index` within one interval, so that the streams do not all beat at once. */
export const streamOffsetMs = (index: number, sessions: number, everyMs: number): number =>
  (index * everyMs) / Math.max(1, sessions);
