/** What a trial runs besides membership. */
import type { TrialPart } from '../../src/sync/sim/trial.ts';
import { ticketPart } from './tickets.ts';

export function trialParts(seed: number): TrialPart[] {
  return [ticketPart(seed)];
}
