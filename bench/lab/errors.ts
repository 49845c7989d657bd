import { type ErrorFacts, HoldfastError } from '../../src/errors.ts';

/** Every way in which the lab itself (not a session inside it) can fail. */
export type LabErrorCode =
  /** Namespaces need root. */
  | 'ERR_LAB_NOT_ROOT'
  /** A program that the lab runs is not installed. */
  | 'ERR_LAB_PROGRAM_MISSING'
  /** Unknown scenario, server, lab id, or an option out of bounds. */
  | 'ERR_LAB_USAGE'
  /** A command that sets the lab up, or takes it down, failed. */
  | 'ERR_LAB_COMMAND'
  /** A daemon ended early or did not become ready. Its log is in the message. */
  | 'ERR_LAB_DAEMON'
  /** The route did not go where the scenario sent it. */
  | 'ERR_LAB_ROUTE'
  /** The clients could not begin. */
  | 'ERR_LAB_CLIENTS'
  /** Healing was asked for and this version has none. */
  | 'ERR_LAB_HEALING_MISSING'
  /** The user asked to stop. */
  | 'ERR_LAB_INTERRUPTED';

/** An error of the lab. Whatever was created before it is removed by the caller's clean-up. */
export class LabError extends HoldfastError {
  constructor(message: string, code: LabErrorCode, cause?: unknown) {
    const facts: ErrorFacts = {
      code,
      source: code === 'ERR_LAB_USAGE' ? 'usage' : 'internal',
      retryable: code === 'ERR_LAB_DAEMON' || code === 'ERR_LAB_ROUTE',
      cause,
    };
    super(message, facts);
  }
}
