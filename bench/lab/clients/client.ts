/** Clients of the lab: each kind is a driver that starts real programs in the client namespace. */
import type { ClientEvent, SessionKind } from './event.ts';

/** What every client needs to know. */
export interface ClientContext {
  /** Namespace in which the clients run; `undefined` for the machine's own. */
  readonly namespace: string | undefined;
  /** `http://192.0.2.10:80` */
  readonly baseUrl: string;
  /** Where the server speaks TLS, too, and the certificate to trust; absent when nowhere. */
  readonly tls?: { readonly baseUrl: string; readonly certificateFile: string } | undefined;
  /** The VIP and the port of the server under test. */
  readonly host: string;
  readonly port: number;
  /** The lab's own directory. */
  readonly labDirectory: string;
  /** Where the client may write files. */
  readonly directory: string;
  /**
   * Files under this directory are served by the origin at `/files/NAME`; `undefined` when the
   * origin makes the contents itself, at `/bytes`.
   */
  readonly contentDirectory: string | undefined;
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

/** Several runs as one. */
export function together(runs: readonly ClientRun[]): ClientRun {
  const speaking = runs.filter((run) => run.speak !== undefined);
  return {
    finished: Promise.all(runs.map((run) => run.finished)).then(() => {}),
    stop: () => {
      for (const run of runs) run.stop();
    },
    ...(speaking.length === 0
      ? {}
      : {
          speak: () => {
            for (const run of speaking) run.speak?.();
          },
        }),
  };
}

/** The same sessions in portions, each for a process of its own: open files and cores are limited. */
export function portions<T>(sessions: readonly T[], most: number): T[][] {
  const count = Math.max(1, Math.ceil(sessions.length / most));
  const size = Math.ceil(sessions.length / count);
  return Array.from({ length: count }, (_, index) =>
    sessions.slice(index * size, (index + 1) * size),
  ).filter((portion) => portion.length > 0);
}

/** `download-1`, `download-2` … */
export function sessionNames(kind: SessionKind, sessions: number): string[] {
  return Array.from({ length: sessions }, (_, index) => `${kind}-${index + 1}`);
}
