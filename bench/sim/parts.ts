/** What a trial runs besides membership. */
import type { TrialPart } from '../../src/sync/sim/trial.ts';
import { sessionPart } from './sessions.ts';
import { ticketPart } from './tickets.ts';

/** Session records cost time and rarely find what tickets do not: every so many worlds have them. */
const SESSIONS_EVERY = 4;

export function trialParts(seed: number): TrialPart[] {
  const tickets = ticketPart(seed);
  return seed % SESSIONS_EVERY === 0 ? [tickets, sessionPart(tickets.homesOf)] : [tickets];
}
