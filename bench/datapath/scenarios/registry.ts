import { flood } from './flood.ts';
import { idle } from './idle.ts';
import { maps } from './maps.ts';
import { bulkRate, entryBursts, entryPackets, pathPackets } from './relay.ts';
import type { DatapathScenario, DatapathSize } from './scenario.ts';
import { keepAlive, perRequest } from './unswitched.ts';

export const scenarios: readonly DatapathScenario[] = [
  bulkRate,
  entryPackets,
  entryBursts,
  pathPackets,
  keepAlive,
  perRequest,
  flood,
  maps,
  idle,
];

export const fullSize: DatapathSize = {
  rounds: 15,
  sliceMs: 1_000,
  seconds: 1,
  warmUpSeconds: 6,
  tickets: 500_000,
  events: 100_000,
  idleFlows: 100_000,
  idleMs: 15_000,
  packetsPerS: 20_000,
  floodPacketsPerS: 20_000,
};

/** A first impression. */
export const quickSize: DatapathSize = { ...fullSize, rounds: 3, sliceMs: 500, idleMs: 5_000 };
