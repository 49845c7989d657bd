/** What the session records of a node have under way. */
import type { PeerIndex } from './core.ts';
import type { GotMessage } from './session-message.ts';

/** A record of this node's, and where it is. */
export interface Own {
  readonly key: string;
  readonly bucket: number;
  readonly value: Uint8Array;
  readonly version: number;
  readonly expiresAtMs: number;
  readonly dropped: boolean;
  /** Homes that confirmed this version, and in which of their lives. */
  readonly confirmed: Map<PeerIndex, number>;
  /** Homes it was sent to and that are silent so far. */
  readonly sent: Map<PeerIndex, { id: number; atMs: number; tries: number }>;
}

/** A question to the homes of a record. */
export interface Get {
  readonly key: string;
  untilMs: number;
  readonly waiting: Set<PeerIndex>;
  againAtMs: number;
  best: GotMessage | undefined;
}
