/** Clients of the lab: each kind is a driver that starts real programs in the client namespace. */
import type { ClientEvent, SessionKind } from './event.ts';

/** What every client needs to know. */
export interface ClientContext {
  /** Namespace in which the clients run. */
  readonly namespace: string;
  /** `http://192.0.2.10:80` */
  readonly baseUrl: string;
  /** The VIP and the port of the server under test. */
  readonly host: string;
  readonly port: number;
  /** The lab's own directory. */
  readonly labDirectory: string;
  /** Where the client may write files. */
  readonly directory: string;
  /** Files under this directory are served by the origin at `/files/NAME`. */
  readonly contentDirectory: string;
  readonly seed: number;
  /** How long each session shall last when nothing disturbs it. */
  readonly durationMs: number;
  /** A session without progress for this long has stalled. */
  readonly stallMs: number;
  /** Size of a download or upload; the rate follows from it and the duration. */
  readonly transferBytes: number;
  /** From one message of a stream to the next. */
  readonly everyMs: number;
  /** Makes the sessions known, before their first report. */
  readonly expect: (sessions: readonly string[]) => void;
  readonly report: (event: ClientEvent) => void;
}

/** Sessions of one kind that were started together. */
export interface ClientRun {
  /** Resolves when the programs have ended. Never rejects: errors are reported as events. */
  readonly finished: Promise<void>;
  /** Ends the programs at once. */
  stop(): void;
  /** For sessions that are silent: asks each of them for a message, after which it ends. */
  speak?(): void;
}

export interface ClientDriver {
  readonly kind: SessionKind;
  start(context: ClientContext, sessions: number): Promise<ClientRun>;
}

/** `download-1`, `download-2` … */
export function sessionNames(kind: SessionKind, sessions: number): string[] {
  return Array.from({ length: sessions }, (_, index) => `${kind}-${index + 1}`);
}
