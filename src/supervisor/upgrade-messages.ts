/**
 * What two releases say to each other over the IPC channel, as JSON: the next may be of another
 * version of holdfast and of Node. Messages that are not known are ignored; a field that is added is
 * optional. `PROTOCOL` is raised when that is not enough, and an upgrade is then refused.
 *
 *     old                              new
 *      │ starts it, sockets passed on   │
 *      │ hello ────────────────────────▶│ reads its configuration, binds what is new
 *      │◀──────────────────────── needAgent
 *      │ agentEnded ───────────────────▶│ starts its agent on the pinned maps, then its workers
 *      │◀──────────────────────────── ready
 *      │ takeOver ─────────────────────▶│ opens the admin server, is the node
 *      │ accepts no more                │
 *      │◀──────────── collect, reopen, drain, cut
 *      │ collected, ended ─────────────▶│
 */
import type { MetricsSnapshot, OriginHealth } from './messages.ts';

export const PROTOCOL = 1;

/** Counters of the supervisor itself, which go on where those of the release before ended. */
export interface CarriedCounts {
  readonly crashes: number;
  readonly applied: number;
  readonly refused: number;
  readonly upgrades: number;
}

/** What a release that was followed by another still has. */
export interface OlderRelease {
  readonly version: string;
  /** Of its supervisor. */
  readonly pid: number;
  /** ISO 8601. */
  readonly replacedAt: string;
  /** Worker processes that are left. */
  readonly workers: number;
  readonly connections: number;
  readonly requestsInFlight: number;
  readonly tunnels: number;
}

/** Of one release and all before it. */
export interface OlderReleases {
  readonly releases: readonly OlderRelease[];
  /** One snapshot per process, when they were asked for. */
  readonly metrics: readonly MetricsSnapshot[];
}

export type ToSuccessor =
  | {
      readonly type: 'hello';
      readonly protocol: number;
      /** Base64; as in the worker's `ticketKeys`. */
      readonly ticketKeys: readonly string[];
      readonly counts: CarriedCounts;
      readonly unhealthy: readonly OriginHealth[];
    }
  | { readonly type: 'agentEnded' }
  | { readonly type: 'takeOver' }
  /** It took too long, or the old release ends: end your agent, answer `gaveUp`, end. */
  | { readonly type: 'giveUp' }
  | ({ readonly type: 'collected'; readonly id: number } & OlderReleases)
  /** Its last word: nothing is left of it, nor of those before it. */
  | { readonly type: 'ended'; readonly metrics: readonly MetricsSnapshot[] };

export type ToPredecessor =
  /** The configuration is good and every address is open. Answered by `agentEnded`. */
  | { readonly type: 'needAgent' }
  /** All is up. Answered by `takeOver`. */
  | { readonly type: 'ready' }
  /** It cannot start, for this reason; it exits. */
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'gaveUp' }
  /** Answered by `collected`. */
  | { readonly type: 'collect'; readonly id: number; readonly metrics: boolean }
  | { readonly type: 'reopen' }
  /** End what is left as after TERM. */
  | { readonly type: 'drain' }
  /** End what is left now. */
  | { readonly type: 'cut' };
