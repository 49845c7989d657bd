/** From what the lab says of one run to a cell of the suite's result. Pure. */
import { complaints, type LabResult, longSessions } from '../lab/measure/result.ts';
import { ownerLives, type Scenario } from '../lab/scenarios/scenario.ts';
import type { PlannedCell } from './plan.ts';
import type { FlapCell, FlapKey, FlapScenario } from './result.ts';

export const keyOf = ({ scenario, contender, family }: PlannedCell): FlapKey => ({
  scenario: scenario.name,
  contender: contender.name,
  server: contender.server,
  agent: contender.agent,
  family,
});

/** @param inLab False where only the clients were seen, and no network. */
export function cellOf(planned: PlannedCell, result: LabResult, inLab = true): FlapCell {
  const long = longSessions(result);
  const { healingCost, histograms } = result;
  return {
    ...keyOf(planned),
    repetition: planned.repetition,
    seed: result.seed,
    sessions: long.started === 0 ? result.sessions : long,
    kinds: result.kinds,
    gapMs: histograms.gapMs,
    baselineGapMs: histograms.baselineGapMs,
    throughput: result.throughput,
    flips: result.flipEvents,
    steps: result.steps,
    retransmits: inLab ? result.retransmits : null,
    resetsSent: inLab ? Object.values(result.resetsSent).reduce((sum, n) => sum + n, 0) : null,
    relayedPackets: inLab ? result.relayedPackets : null,
    verdicts: result.verdicts,
    detour: healingCost === null ? null : { addedRttMs: result.addedRttMs, ...healingCost },
    connectMs: histograms.connectMs,
    deaths: result.deaths,
    flood: result.flood,
    examples: result.examples,
    complaints: complaints(
      result,
      planned.scenario.expected,
      planned.scenario.announcementsPerMinuteMax,
    ),
  };
}

export const scenarioInResult = (scenario: Scenario): FlapScenario => ({
  name: scenario.name,
  about: scenario.about,
  standsFor: scenario.standsFor,
  ownerLives: ownerLives(scenario),
  durationMs: scenario.durationMs,
  pops: scenario.pops,
  expected: scenario.expected,
});
