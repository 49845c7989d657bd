/** Where long work says what it is doing. */
export interface Progress {
  /** A step begins, or the current one got further: `waiting for BGP: 3 of 6`. */
  step(text: string): void;
}

/** Says nothing. */
export const silent: Progress = { step: () => {} };
