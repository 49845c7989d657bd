/** What the process of the reconnecting clients is told. */
export interface ReconnectPlan {
  readonly baseUrl: string;
  /** Trusted beside the usual ones. */
  readonly certificateFile: string | undefined;
  readonly sessions: readonly string[];
  readonly seed: number;
  readonly durationMs: number;
  /** From question to question. */
  readonly everyMs: number;
  /** Longest wait for an answer over a connection that has answered before. */
  readonly answerTimeoutMs: number;
  /** Longest wait for a new connection and its first answer. */
  readonly connectTimeoutMs: number;
  /** From a failed attempt to the next. */
  readonly retryMs: number;
}
