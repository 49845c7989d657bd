/** What a node and its agent process say to each other over the IPC channel. */
import type { AdminAnswer } from '../admin/admin-server.ts';
import type { DrainPhase } from '../announce/drain-plan.ts';
import type { EdgeReport } from '../announce/site-health.ts';
import type { LoadedConfig } from '../config/load.ts';

export type ToAgent =
  /** The first message. */
  | { readonly type: 'start'; readonly loaded: LoadedConfig; readonly version: string }
  /** A question to the agent's API; answered by `answer`. */
  | {
      readonly type: 'ask';
      readonly id: number;
      readonly path: string;
      readonly query: string;
      readonly body: string;
    }
  /** How the edge beside it does. About once a second when the agent announces. */
  | { readonly type: 'edge'; readonly report: EdgeReport }
  /**
   * The node ends: finish what it has. Answered by `drain` when it is time to end sessions, at once
   * by an agent that announces nothing.
   */
  | { readonly type: 'drain' }
  /** The sessions that a `drain` of phase `closing` asked to end have ended. */
  | { readonly type: 'closed' }
  /**
   * End. With `leave`, withdraw what is announced and say good-bye to the mesh first; else another
   * agent follows at once.
   */
  | { readonly type: 'stop'; readonly leave: boolean };

export type FromAgent =
  /** Its program is loaded; it waits for `start`. */
  | { readonly type: 'loaded' }
  | { readonly type: 'up' }
  /** It cannot start; it exits. `refused` when the machine lacks something. */
  | { readonly type: 'failed'; readonly code: string; readonly message: string }
  /** The keys that seal TLS session tickets changed, or are known at last: the first seals. */
  | { readonly type: 'ticketKeys'; readonly keys: readonly Uint8Array[] }
  /** A drain got on, or was undone. In `closing` and `drained` it is time to end what is left. */
  | { readonly type: 'drain'; readonly phase: DrainPhase | 'resumed' }
  | { readonly type: 'answer'; readonly id: number; readonly answer: AdminAnswer };

/** Paths of the agent's API, as a node's admin server passes them on. */
export const AGENT_PATHS = {
  '/mesh/nodes': 'GET',
  '/mesh/keys': 'GET',
  '/mesh/keys/add': 'POST',
  '/mesh/keys/use': 'POST',
  '/mesh/keys/retire': 'POST',
  '/mesh/keys/renew-ticket': 'POST',
  '/trace': 'GET',
  '/announce': 'GET',
  '/announce/hold': 'POST',
  '/announce/drain': 'POST',
  '/announce/resume': 'POST',
} as const;

/** To who asks about an announcement that there is not. */
export const ANNOUNCES_NOTHING =
  'this node announces nothing: that needs "mesh", "datapath" and "announce" in its configuration';
