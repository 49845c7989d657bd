/** What the benchmark and its node processes say to each other. */
import type { FlowPlan } from './flow.ts';

/** How tickets travel: by the mesh, or by the base's plain streams. */
export type Way = 'mesh' | 'stream';

export interface NodeSetup {
  readonly way: Way;
  readonly id: string;
  readonly listen: string;
  readonly join: readonly string[];
  /** Base64. */
  readonly key: string;
  readonly boot: number;
  /** Share of arriving datagrams that are dropped. */
  readonly dropShare: number;
  readonly capacity: number;
  /** Tickets to note the times of: births here, arrivals elsewhere. 0 for none. */
  readonly timedFlows: number;
  /** The kernel's flows; a restarted process publishes what is alive. */
  readonly plan: FlowPlan | undefined;
}

export type NodeOrder =
  | { readonly type: 'setup'; readonly setup: NodeSetup }
  | { readonly type: 'plan'; readonly plan: FlowPlan }
  | { readonly type: 'usage' }
  | { readonly type: 'times' }
  /** How many of these flows does this node know with that owner? */
  | { readonly type: 'count'; readonly owner: string; readonly low: number; readonly high: number }
  | { readonly type: 'close' };

export interface NodeUsage {
  readonly cpuMs: number;
  readonly rssBytes: number;
  readonly live: number;
  readonly ticketsOwned: number;
  readonly ticketsKept: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly datagramsIn: number;
  readonly datagramsOut: number;
}

/** What a process of the benchmark does, whichever way its tickets travel. */
export interface BenchNode {
  readonly address: string;
  follow(plan: FlowPlan): void;
  usage(): NodeUsage;
  times(): Float64Array;
  count(owner: string, low: number, high: number): number;
  close(): Promise<void>;
}

export type NodeAnswer =
  | { readonly type: 'ready'; readonly address: string }
  | { readonly type: 'done' }
  | { readonly type: 'usage'; readonly usage: NodeUsage }
  /** Milliseconds on the machine's monotonic clock by flow number; 0 for never. */
  | { readonly type: 'times'; readonly times: Float64Array }
  | { readonly type: 'count'; readonly known: number };
