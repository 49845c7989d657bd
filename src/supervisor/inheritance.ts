/** What whoever started this process has passed on to it. A core: the environment is handed in. */

/** A listening socket that was open before this process. */
export interface InheritedSocket {
  readonly fd: number;
  /** As the release before knew it; a service manager gives none. */
  readonly name: string | undefined;
}

export interface Inheritance {
  readonly sockets: readonly InheritedSocket[];
  /** Started by the release before, which waits for word over the IPC channel. */
  readonly isSuccessor: boolean;
  /** Path of the service manager's socket, for sd_notify(3). */
  readonly notifySocket: string | undefined;
  /** The service manager wants a sign of life this often. */
  readonly watchdogMs: number | undefined;
}

/** The first descriptor that is passed on, sd_listen_fds(3). */
export const FIRST_FD = 3;
const SOCKETS_MAX = 1_024;
const SUCCESSOR = 'HOLDFAST_SUCCESSOR';
const NAMES = [
  'LISTEN_FDS',
  'LISTEN_PID',
  'LISTEN_FDNAMES',
  'NOTIFY_SOCKET',
  'WATCHDOG_USEC',
  'WATCHDOG_PID',
  SUCCESSOR,
] as const;

type Environment = Record<string, string | undefined>;

/**
 * Reads it, and takes it out of the environment: workers are not to have it. Variables that name
 * another process are not meant for this one and ignored, as sd_listen_fds(3) and
 * sd_watchdog_enabled(3) ask for.
 */
export function takeInheritance(environment: Environment, pid: number): Inheritance {
  const isSuccessor = environment[SUCCESSOR] !== undefined;
  const isMeant = (name: string) => environment[name] === String(pid);
  const sockets = isSuccessor || isMeant('LISTEN_PID') ? socketsOf(environment, isSuccessor) : [];
  const microseconds = Number(environment.WATCHDOG_USEC);
  const isWatched = environment.WATCHDOG_PID === undefined || isMeant('WATCHDOG_PID');
  const inheritance = {
    sockets,
    isSuccessor,
    notifySocket: environment.NOTIFY_SOCKET,
    watchdogMs: isWatched && microseconds > 0 ? microseconds / 1_000 : undefined,
  };
  for (const name of NAMES) delete environment[name];
  return inheritance;
}

function socketsOf(environment: Environment, named: boolean): InheritedSocket[] {
  const count = Math.min(SOCKETS_MAX, Number.parseInt(environment.LISTEN_FDS ?? '0', 10) || 0);
  const names = (environment.LISTEN_FDNAMES ?? '').split(':');
  return Array.from({ length: Math.max(0, count) }, (_, i) => ({
    fd: FIRST_FD + i,
    name: named && names[i] ? decodeURIComponent(names[i]) : undefined,
  }));
}

/** The environment for the release that follows: what {@link takeInheritance} reads there. */
export function legacyOf(
  inheritance: Inheritance,
  sockets: readonly InheritedSocket[],
): Record<string, string> {
  const { notifySocket, watchdogMs } = inheritance;
  return {
    [SUCCESSOR]: '1',
    LISTEN_FDS: String(sockets.length),
    // A colon separates names.
    LISTEN_FDNAMES: sockets.map(({ name }) => encodeURIComponent(name ?? '')).join(':'),
    ...(notifySocket === undefined ? {} : { NOTIFY_SOCKET: notifySocket }),
    ...(watchdogMs === undefined ? {} : { WATCHDOG_USEC: String(watchdogMs * 1_000) }),
  };
}
