/** The base of every error that holdfast gives to its callers. */

export type ErrorSource =
  /** The caller's own input: configuration, arguments. */
  | 'usage'
  /** A client's side of a connection. */
  | 'downstream'
  /** An origin's side of a connection. */
  | 'upstream'
  /** The machine or holdfast itself. */
  | 'internal';

export interface ErrorFacts {
  /** Stable name, `ERR_…`. Programs compare this, never the text. */
  readonly code: string;
  readonly source: ErrorSource;
  /** True when the same call may succeed later without any change. */
  readonly retryable: boolean;
  readonly cause?: unknown;
}

/** Text is for people and says how to mend it; `code` is for programs. */
export class HoldfastError extends Error {
  readonly code: string;
  readonly source: ErrorSource;
  readonly retryable: boolean;

  constructor(message: string, facts: ErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = new.target.name;
    this.code = facts.code;
    this.source = facts.source;
    this.retryable = facts.retryable;
  }
}
