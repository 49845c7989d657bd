/** What a run keeps of what it did and saw, before anything is computed from it. */
import type { Family } from '../topology.ts';
import type { Activity } from './activity.ts';
import type { AnnouncementCount } from './announcements.ts';
import type { Distribution } from './gaps.ts';
import type { SessionRecord } from './ledger.ts';
import type { TcpCounters } from './tcp-counters.ts';

/** Where the route leads when the router has none. */
export const NOBODY = 'nobody';

/** One move of the route, as the router's kernel saw it. */
export interface FlipRecord {
  /** Counted from the moment when all clients ran. */
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  /** From the command to the kernel's new route. */
  readonly convergenceMs: number;
}

/** Anything else that was done to the lab. */
export interface StepRecord {
  /** 0 for what was done before the clients ran. */
  readonly atMs: number;
  /** `mtu`, `split` …, as in the scenario. */
  readonly type: string;
  readonly text: string;
}

export interface CrashRecord {
  readonly atMs: number;
  readonly pop: string;
}

export interface FloodRecord {
  readonly segment: 'syn' | 'ack';
  readonly packetsPerS: number;
  /** In all. */
  readonly sent: number;
  /** Not taken by the client's kernel. */
  readonly failed: number;
  /** Until the first flip: what was sent, and what all PoPs relayed meanwhile. */
  readonly counted: { readonly sent: number; readonly relayed: number };
}

/** Of the same sessions in the same lab when nothing happened to them. */
export interface ControlRecord {
  readonly retransmits: number;
  readonly gapMs: Distribution;
}

/** What healing itself takes, summed over the PoPs. */
export interface HealingCost {
  /** CPU time of the datapath's eBPF programs; `null` where the kernel does not tell. */
  readonly programsCpuMs: number | null;
  /** How often these programs ran; `null` where the kernel does not tell. */
  readonly programRuns: number | null;
  /** CPU time of the agents' processes, user and system. */
  readonly agentsCpuMs: number;
}

/** Everything that a run has recorded. */
export interface RunRecord {
  readonly scenario: string;
  readonly server: string;
  readonly healing: 'on' | 'off';
  readonly family: Family;
  readonly seed: number;
  readonly flipMethod: string;
  readonly pops: number;
  readonly durationMs: number;
  /** Added by long links, each way. */
  readonly delayMs?: number;
  readonly backboneDelayMs?: number;
  /** When all clients ran; the zero of {@link FlipRecord.atMs}. */
  readonly beganAtMs: number;
  readonly flips: readonly FlipRecord[];
  readonly steps?: readonly StepRecord[];
  readonly crashes?: readonly CrashRecord[];
  readonly announcements?: readonly AnnouncementCount[];
  readonly flood?: FloodRecord | undefined;
  readonly control?: ControlRecord | undefined;
  /** How long after something happened its effect on gaps is looked for. */
  readonly gapWindowMs: number;
  readonly sessions: readonly SessionRecord[];
  /** What they carried; `undefined` when nobody counted. */
  readonly activity?: Activity;
  /** Counted during the run, by node; PoPs and clients. */
  readonly tcp: Readonly<Record<string, TcpCounters>>;
  /** Packets that PoPs carried to the owner of their flow, by node. */
  readonly relayed: Readonly<Record<string, number>>;
  /** Packets by the datapath's verdict, by node. */
  readonly verdicts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** What healing itself took; `undefined` without it. */
  readonly healingCost?: HealingCost | undefined;
  readonly versions: Readonly<Record<string, string>>;
}
