/** What a node may say of its addresses to the routing, best first. A core without IO. */

/**
 * - `up`: announced.
 * - `degraded`: announced, worse than by a node that is up.
 * - `draining`: announced worse than that and with GRACEFUL_SHUTDOWN (RFC 8326): on the way out.
 * - `down`: withdrawn.
 */
export const ANNOUNCE_STATES = ['up', 'degraded', 'draining', 'down'] as const;
export type AnnounceState = (typeof ANNOUNCE_STATES)[number];

/** States that announce. */
export type AnnouncedState = Exclude<AnnounceState, 'down'>;
export const ANNOUNCED_STATES: readonly AnnouncedState[] = ['up', 'degraded', 'draining'];

/** 0 is best. */
export function badness(state: AnnounceState): number {
  return ANNOUNCE_STATES.indexOf(state);
}

export function isWorse(state: AnnounceState, than: AnnounceState): boolean {
  return badness(state) > badness(than);
}

/** The worst of some states; `up` of none. */
export function worst(states: Iterable<AnnounceState>): AnnounceState {
  let result: AnnounceState = 'up';
  for (const state of states) if (isWorse(state, result)) result = state;
  return result;
}

/** For programs and the wire: 1 to 4; 0 is for "says nothing". */
export function stateCode(state: AnnounceState | undefined): number {
  return state === undefined ? 0 : badness(state) + 1;
}

/** `undefined` for 0 and for numbers that mean nothing. */
export function stateOfCode(code: number): AnnounceState | undefined {
  return ANNOUNCE_STATES[code - 1];
}
