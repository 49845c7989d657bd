/** What the process of the connecting clients is told, and what becomes of their sessions. */
import type { SessionEnd } from './event.ts';

export interface ConnectionPlan {
  readonly baseUrl: string;
  readonly sessions: readonly string[];
  readonly seed: number;
  readonly durationMs: number;
  /** Messages and their pace on each connection. */
  readonly count: number;
  readonly everyMs: number;
  /** Pause between connections. */
  readonly pauseMs: number;
  /** Longest life of one connection. */
  readonly timeoutMs: number;
  /**
   * Source port of the first session; the others follow. The session ends when a connection fails.
   * Absent: a fresh port each time, and a failure is counted.
   */
  readonly firstPort?: number;
}

/** Who ends a connection decides who keeps its remains (TIME_WAIT, RFC 9293 section 3.6). */
export const CLOSINGS = ['server', 'reset', 'client'] as const;
export type Closing = (typeof CLOSINGS)[number];

/** Counts a session's connections. */
export class ConnectionTally {
  #tried = 0;
  #failed = 0;
  #complaint = '';

  succeed(): void {
    this.#tried += 1;
  }

  fail(complaint: string): void {
    this.#tried += 1;
    this.#failed += 1;
    if (this.#failed === 1) this.#complaint = `connection ${this.#tried}: ${complaint}`;
  }

  get tried(): number {
    return this.#tried;
  }

  get succeeded(): number {
    return this.#tried - this.#failed;
  }

  get end(): { how: SessionEnd; detail: string } {
    if (this.#failed === 0) return { how: 'complete', detail: `${this.#tried} connections` };
    const detail = `${this.#failed} of ${this.#tried} connections failed, first ${this.#complaint}`;
    return { how: 'reset', detail };
  }
}
