/** What the application gives to and gets from the session records. */
import type { MeshNotice, PeerIndex, PeerTable } from './core.ts';
import type { Homes } from './homes.ts';
import type { KeptSession } from './session-store.ts';

export interface SessionSettings {
  /** Most records of this node. Default 65,536. */
  readonly ownMax: number;
  /** Most records kept for others. Default 65,536. */
  readonly keptMax: number;
  /** Bytes of the records kept for others, with their overhead. Default 64 MiB. */
  readonly keptBytesMax: number;
  /** Longest life a record may be given. Default one day. */
  readonly ttlMsMax: number;
  /** Records sent to homes, all together. Default 4,000 per second. */
  readonly putsPerSecond: number;
  /** Longest time until a `get` ends. Default 500. */
  readonly getMs: number;
  /** Gets under way at once. Default 4,096. */
  readonly getsMax: number;
}

export const SESSION_SETTINGS: SessionSettings = {
  ownMax: 65_536,
  keptMax: 65_536,
  keptBytesMax: 67_108_864,
  ttlMsMax: 86_400_000,
  putsPerSecond: 4_000,
  getMs: 500,
  getsMax: 4_096,
};

export interface SessionsOptions extends Partial<SessionSettings> {
  readonly peers: PeerTable;
  /** The directory's table; driven by the directory. */
  readonly homes: Homes;
}

/** A record as a reader gets it. */
export interface Session {
  readonly key: string;
  readonly value: Uint8Array;
  /** Write with a higher one to take the session over. */
  readonly version: number;
  /** Left until it expires. */
  readonly ttlMs: number;
  /** `undefined` when this node does not know the owner (any more). */
  readonly owner: PeerIndex | undefined;
}

/** A record as one node has it. Read it; do not change it. */
export interface LocalSession extends KeptSession {
  /** Whether this node wrote it. */
  readonly isOwn: boolean;
}

/** The end of a `get` that was not answered at once. */
export interface SessionFound extends MeshNotice {
  readonly type: 'sessionFound';
  readonly key: string;
  readonly session: Session | undefined;
}

/** Another node wrote a higher version of a session that this node owned. It is not ours any more. */
export interface SessionTaken extends MeshNotice {
  readonly type: 'sessionTaken';
  readonly key: string;
}
