/**
 * What `holdfast bench flap` writes as JSON, and what its reports and comparisons read. Everything
 * is plain data. Units are the last word of a name; times within a cell are counted from the moment
 * when all of its clients ran; `null` means "not measured here", never zero.
 */
import type { SessionKind } from '../lab/clients/event.ts';
import type { Throughput } from '../lab/measure/activity.ts';
import type { DeathReport } from '../lab/measure/death.ts';
import type { Histogram } from '../lab/measure/histogram.ts';
import type { FlipRecord, HealingCost, StepRecord } from '../lab/measure/record.ts';
import type { FloodReport, SessionCounts } from '../lab/measure/result.ts';
import type { Expectation } from '../lab/scenarios/scenario.ts';
import type { Machine } from '../measure/machine.ts';
import type { Spread } from '../measure/statistics.ts';

/** Raised when a reader of an older version would misread the file. */
export const FLAP_FORMAT = 'holdfast-flap/1';

/** One run of a suite. */
export interface FlapResult {
  readonly format: typeof FLAP_FORMAT;
  /** `quick`, `full`, `custom` (chosen by hand) or `external` (a server outside the lab). */
  readonly suite: string;
  /** What was typed, from `holdfast` on. Typed again with the same seed it gives the same sessions. */
  readonly command: string;
  readonly seed: number;
  /** Wall clock, ISO 8601 in UTC. */
  readonly startedAt: string;
  readonly tookMs: number;
  /** False when it was stopped before every planned cell had run. */
  readonly complete: boolean;
  /** Cells that were to run; `cells` and `failures` together are as many when it is complete. */
  readonly plannedCells: number;
  readonly machine: Machine;
  /** Programs that took part in all cells: `holdfast`, `bird`, `curl`, `origin` …; the servers' own are in {@link contenders}. */
  readonly versions: Readonly<Record<string, string>>;
  /** Scenarios that were run, in the order in which tables shall show them. */
  readonly scenarios: readonly FlapScenario[];
  /** Columns of the survival table, in order. */
  readonly contenders: readonly FlapContender[];
  /** Every run, in the order in which they ran. */
  readonly cells: readonly FlapCell[];
  /** Repetitions of the same cell taken together, by scenario, then contender, then family. */
  readonly rows: readonly FlapRow[];
  /** Cells that could not be run or judged. Nothing is known about sessions there. */
  readonly failures: readonly FlapFailure[];
}

/** A scenario, as far as a reader of the results needs it. */
export interface FlapScenario {
  readonly name: string;
  /** One line: what happens. */
  readonly about: string;
  /** The published or measured figure that it stands for; empty for a user's own file. */
  readonly standsFor: string;
  /** Whether the PoP that holds the sessions lives through it: then healing must lose none. */
  readonly ownerLives: boolean;
  /** From the moment when all clients run to the planned end of the last session. */
  readonly durationMs: number;
  readonly pops: number;
  /** What must become of the sessions, with the agent and without. */
  readonly expected: { readonly on: Expectation; readonly off: Expectation };
}

/** One server with or without the agent beside it: a column of tables. */
export interface FlapContender {
  /** `nginx`, `nginx+agent`: unique, the key for comparisons. */
  readonly name: string;
  /** `holdfast`, `nginx`, `haproxy`, `caddy`, `postgres`, `sshd`, `command`, `external`. */
  readonly server: string;
  readonly agent: boolean;
  /** The server's own words, `nginx/1.22.1`; empty when it says nothing. */
  readonly version: string;
}

/** Names one cell, or with `repetition` left out one row. */
export interface FlapKey {
  /** Name of a {@link FlapScenario}. */
  readonly scenario: string;
  /** Name of a {@link FlapContender}. */
  readonly contender: string;
  readonly server: string;
  /** `holdfast agent` beside the server on every PoP. */
  readonly agent: boolean;
  /** IP version between clients and VIP. */
  readonly family: 4 | 6;
}

export type { Histogram, Throughput };

/** What carrying packets to their owner costs. */
export interface DetourCost extends HealingCost {
  /**
   * Round trip of an echo while the route points elsewhere than to its owner, beyond the round trip
   * before the first flip: medians. `null` when no echo was detoured, or none was not.
   */
  readonly addedRttMs: number | null;
}

/** One run of one scenario against one contender. */
export interface FlapCell extends FlapKey {
  /** From 1. */
  readonly repetition: number;
  /** The contents of the sessions follow from it. */
  readonly seed: number;
  /** Those that live and die with their connection: all kinds but `connect`, unless there are no others. */
  readonly sessions: SessionCounts;
  /** By kind of session, `connect` too; kinds without sessions are left out. */
  readonly kinds: Readonly<Partial<Record<SessionKind, SessionCounts>>>;
  /** Gaps between consecutive echoes of a stream that touch the time after something happened, milliseconds. */
  readonly gapMs: Histogram;
  /** The same before anything happened. */
  readonly baselineGapMs: Histogram;
  readonly throughput: Throughput;
  /** Each move of the route: `{atMs, from, to, convergenceMs}`. */
  readonly flips: readonly FlipRecord[];
  /** Everything else that was done: `{atMs, type, text}`. At 0: before the clients ran. */
  readonly steps: readonly StepRecord[];
  /** Segments sent again by clients and PoPs; `null` outside the lab. */
  readonly retransmits: number | null;
  /** RST segments sent by the PoPs; `null` outside the lab. */
  readonly resetsSent: number | null;
  /** Packets that PoPs carried to the owner of their flow; `null` outside the lab. */
  readonly relayedPackets: number | null;
  /** Packets by the datapath's verdict, summed over the PoPs; empty without an agent. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** `null` without an agent. */
  readonly detour: DetourCost | null;
  /** Each new connection of the kinds that make many, its question and answer included, milliseconds. */
  readonly connectMs: Histogram;
  readonly deaths: readonly DeathReport[];
  readonly flood: FloodReport | null;
  /** One example per kind of what a session that did not survive said. */
  readonly examples: Readonly<Partial<Record<SessionKind, string>>>;
  /** What is not as the scenario expects, in words; empty when all is. */
  readonly complaints: readonly string[];
}

/** All repetitions of one cell. */
export interface FlapRow extends FlapKey {
  readonly repetitions: number;
  /** As in the cells, summed over the repetitions. */
  readonly sessions: SessionCounts;
  /** Clients that make one connection after the other, and how many never failed to; summed. */
  readonly connects: { readonly started: number; readonly survived: number };
  /** Of `sessions`, percent, of each repetition. */
  readonly survivedPercent: Spread;
  /** Of the repetitions' own percentiles; `null` when no repetition has one. */
  readonly gapP50Ms: Spread | null;
  readonly gapP99Ms: Spread | null;
  readonly gapMaxMs: Spread | null;
  readonly baselineGapP99Ms: Spread | null;
  readonly connectP99Ms: Spread | null;
  readonly retransmits: Spread | null;
  readonly relayedPackets: Spread | null;
  readonly addedRttMs: Spread | null;
  /** Bytes and messages per second over the whole of a cell. */
  readonly bytesPerS: Spread | null;
  readonly messagesPerS: Spread | null;
  /** Of the repetitions' complaints, those that differ. */
  readonly complaints: readonly string[];
}

export interface FlapFailure extends FlapKey {
  readonly repetition: number;
  /** Why, for people. */
  readonly message: string;
}
