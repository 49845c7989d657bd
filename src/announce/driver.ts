/** What every way of telling the routing has in common. */
import { HoldfastError } from '../errors.ts';
import type { AnnounceState } from './state.ts';

/** What the routing itself says of the announcement. */
export interface Verification {
  /** Whether it does what was asked. */
  readonly ok: boolean;
  /** What is wrong and how to mend it; empty when ok. */
  readonly problem: string;
  /** What it says, a line each, for people: protocols, sessions, routes. */
  readonly found: readonly string[];
}

/**
 * A way to announce. Each must end an announcement by itself, within the dead-man time, when nobody
 * calls {@link apply} any more: a dead agent may not go on announcing.
 */
export interface AnnounceDriver {
  /** As in the configuration: `bird`, `exabgp` … */
  readonly name: string;
  /** What an earlier process announces still; asked once, before the first {@link apply}. */
  found(): Promise<AnnounceState>;
  /**
   * Announces that state. Called for each change and again several times within the dead-man time,
   * so that it does not end. Rejects with {@link AnnounceDriverError}; the caller tries again.
   * @param reason For people, one line.
   */
  apply(state: AnnounceState, reason: string): Promise<void>;
  /** Asks the routing whether that state took. Never rejects. */
  verify(state: AnnounceState): Promise<Verification>;
  /** Lets go of what it holds, without changing what is announced. */
  close(): Promise<void>;
}

/** An announcement could not be changed. What was announced before goes on or ends by itself. */
export class AnnounceDriverError extends HoldfastError {
  constructor(message: string, cause?: unknown) {
    super(message, { code: 'ERR_ANNOUNCE', source: 'internal', retryable: true, cause });
  }
}
