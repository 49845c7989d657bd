/** What the supervisor and its workers say to each other over the IPC channel. */
import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import type { Config } from '../config/schema.ts';
import type { WorkerStatus } from './status.ts';

/** The word of the active health checks on one origin of one route. */
export interface OriginHealth {
  /** Name of the route, as the edge knows it. */
  readonly key: string;
  readonly originId: string;
  readonly healthy: boolean;
}

/** Metrics of one process, as `Registry.getMetricsAsJSON` gives them. */
export type MetricsSnapshot = MetricObjectWithValues<MetricValue<string>>[];

/** An error, as it crosses a process border. */
export interface Failure {
  /** `ERR_…` */
  readonly code: string;
  readonly message: string;
}

export type ToWorker =
  /**
   * With a {@link SocketHandle}: the socket of a listener of the next configuration, which comes with
   * the next `start` or `apply`. `listener` as `formatListener` gives it.
   */
  | { readonly type: 'socket'; readonly listener: string }
  /** The first message: what to serve, and the health known so far. */
  | {
      readonly type: 'start';
      readonly config: Config;
      readonly health: readonly OriginHealth[];
      /** They seal TLS session tickets, the same in every worker; see `ticketKeys` below. */
      readonly ticketKeys: readonly Uint8Array[];
    }
  /** Answered by `applied`. */
  | { readonly type: 'apply'; readonly id: number; readonly config: Config }
  | ({ readonly type: 'health' } & OriginHealth)
  /** Keys of 48 bytes that seal TLS session tickets: the first does, tickets under any resume. */
  | { readonly type: 'ticketKeys'; readonly keys: readonly Uint8Array[] }
  /** Answered by `collected`. */
  | { readonly type: 'collect'; readonly id: number; readonly metrics: boolean }
  /** Open log files anew. */
  | { readonly type: 'reopen' }
  /** Accept nothing new, answer `drained` when the last connection has ended by itself, exit. */
  | { readonly type: 'retire' }
  /** Leave service, answer `drained`, exit. */
  | { readonly type: 'drain' };

export type FromWorker =
  /** All listeners are open. `ports` are in the order of the configuration. */
  | { readonly type: 'ready'; readonly ports: readonly number[] }
  /** It cannot start; it exits. */
  | { readonly type: 'failed'; readonly failure: Failure }
  | {
      readonly type: 'applied';
      readonly id: number;
      readonly ports: readonly number[];
      /** Nothing was changed. */
      readonly failure?: Failure;
    }
  | {
      readonly type: 'collected';
      readonly id: number;
      readonly status: WorkerStatus;
      readonly metrics?: MetricsSnapshot;
    }
  /** The last word, with the last counts. */
  | { readonly type: 'drained'; readonly cut: number; readonly metrics: MetricsSnapshot };
