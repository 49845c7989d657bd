import type { FlowKey } from '../../proto/ticket-key.ts';
import type { PeerTable } from '../core.ts';
import type { HomesOptions } from '../homes.ts';
import type { Random } from '../random.ts';
import type { TicketChanges } from '../ticket-changes.ts';
import { IN_STREAM_TIMES, type InStreamTimes } from './in-stream.ts';
import { OUT_STREAM_LIMITS, type OutStreamLimits } from './out-stream.ts';

/** What a directory needs from its node. */
export interface DirectoryOptions extends Partial<DirectorySettings> {
  readonly peers: PeerTable;
  /** Spreads digests over time and seeds the index; not for secrets on the wire. */
  readonly random: Random;
  readonly homes?: HomesOptions;
  readonly stream?: Partial<OutStreamLimits>;
  readonly times?: Partial<InStreamTimes>;
  /** Told of every ticket of another owner that came or went. */
  readonly changes?: TicketChanges;
  /**
   * Whether this node's kernel holds the flow's socket although no ticket says so (born before the
   * datapath was attached). Asked only when another node searches. Default: it does not.
   */
  readonly ownsFlow?: (key: FlowKey) => boolean;
}

export interface DirectorySettings {
  /** Most tickets kept, own and others'; 66 B each in use. Default 2,000,000. */
  readonly capacity: number;
  /**
   * True when the node's kernel holds flows of an earlier run whose tickets will be published
   * again: until `restored()` no digest is sent, so no home lets the old tickets go. Default false.
   */
  readonly restoring: boolean;
  /** False switches anti-entropy off: a negative control for tests. Default true. */
  readonly antiEntropy: boolean;
  /** From one digest to the next for a home whose tickets changed since. Default 1,500. */
  readonly digestMs: number;
  /** The same for a home that said "equal" since the last change. Default 30,000. */
  readonly quietDigestMs: number;
  /** Snapshots sent to all homes together. Default 8 MiB per second. */
  readonly repairBytesPerSecond: number;
  /** Tickets sent to new homes after a change of the table. Default 100,000 per second. */
  readonly republishPerSecond: number;
  /** Tickets of a dead node are kept silently for this long: it may have been a partition. Default 60,000. */
  readonly keepDeadMs: number;
  /** Tickets whose memory is taken back per tick of 5 ms. Default 4,000. */
  readonly sweepPerTick: number;
  /** Longest time until `find` says "unknown". Default 500. */
  readonly graceMs: number;
  /** Finds under way at once; more are refused. Default 4,096. */
  readonly findsMax: number;
  /** Questions of searches, counted per asked node. Default 20,000 per second. */
  readonly searchPerSecond: number;
}

export const DIRECTORY_SETTINGS: DirectorySettings = {
  capacity: 2_000_000,
  restoring: false,
  antiEntropy: true,
  digestMs: 1_500,
  quietDigestMs: 30_000,
  repairBytesPerSecond: 8_388_608,
  republishPerSecond: 100_000,
  keepDeadMs: 60_000,
  sweepPerTick: 4_000,
  graceMs: 500,
  findsMax: 4_096,
  searchPerSecond: 20_000,
};

export function directorySettings(options: DirectoryOptions): DirectorySettings {
  return { ...DIRECTORY_SETTINGS, ...options };
}

export function outStreamLimits(options: DirectoryOptions): OutStreamLimits {
  return { ...OUT_STREAM_LIMITS, ...options.stream };
}

export function inStreamTimes(options: DirectoryOptions): InStreamTimes {
  return { ...IN_STREAM_TIMES, ...options.times };
}
