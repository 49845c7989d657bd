import { largeAnswers, smallAnswers } from './http.ts';
import type { BenchSize, Scenario } from './scenario.ts';
import { idleTunnels, tunnelMessages } from './tunnels.ts';

export const scenarios: readonly Scenario[] = [
  smallAnswers,
  largeAnswers,
  tunnelMessages,
  idleTunnels,
];

export const fullSize: BenchSize = {
  rounds: 15,
  freshRounds: 3,
  seconds: 1,
  warmUpSeconds: 3,
  idleTunnels: 10_000,
};

/** A first impression in about a minute and a half. */
export const quickSize: BenchSize = {
  rounds: 3,
  freshRounds: 1,
  seconds: 1,
  warmUpSeconds: 2,
  // Fewer would count an engine's fixed costs as the tunnels'.
  idleTunnels: 10_000,
};
