/**
 * Tells the service manager how the process is, sd_notify(3).
 *
 * The messages are datagrams to a Unix socket, which Node cannot send. They are sent with libc's own
 * sendto: from this very process, since the manager asks the kernel who sends and believes the main
 * process alone (`NotifyAccess=main`), and at once, since the order of two messages matters when one
 * release follows another. `systemd-notify`, a process of its own, gives neither.
 */
import { createRequire } from 'node:module';
import type { Logger } from 'pino';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const PATH_BYTES_MAX = 108;
const STATUS_CHARACTERS_MAX = 500;

/** Sends one datagram. Throws the system's error. */
type Send = (text: string) => void;

export class ServiceManager {
  readonly #log: Logger;
  #send: Send | undefined;
  #watchdog: NodeJS.Timeout | undefined;

  /** @param socket `$NOTIFY_SOCKET`; without one, nothing is told to anybody. */
  constructor(socket: string | undefined, log: Logger) {
    this.#log = log;
    // Other kinds (vsock) are for virtual machines as a whole.
    if (socket?.startsWith('/') || socket?.startsWith('@')) {
      this.#attempt(() => {
        this.#send = senderTo(socket);
      });
    }
  }

  get isThere(): boolean {
    return this.#send !== undefined;
  }

  /** The start, a reload or an upgrade is done. */
  ready(status: string): void {
    this.#tell(['READY=1', `STATUS=${oneLine(status)}`]);
  }

  /** A reload begins; {@link ready} ends it. As `Type=notify-reload` asks for, with the time. */
  reloading(): void {
    const microseconds = process.hrtime.bigint() / 1_000n;
    this.#tell(['RELOADING=1', `MONOTONIC_USEC=${microseconds}`, 'STATUS=reloading']);
  }

  stopping(status: string): void {
    this.#tell(['STOPPING=1', `STATUS=${oneLine(status)}`]);
  }

  /**
   * Gives signs of life until {@link unwatch}, twice in the time after which a silent service is
   * started anew.
   * @param isAlive Asked each time. On false nothing is said but `complaint`.
   */
  watch(watchdogMs: number, isAlive: () => Promise<boolean>, complaint: string): void {
    this.#watchdog = setInterval(() => {
      void isAlive().then((alive) => {
        if (alive) this.#tell(['WATCHDOG=1']);
        else this.#tell([`STATUS=${oneLine(complaint)}`]);
      });
    }, watchdogMs / 2);
    this.#watchdog.unref();
  }

  unwatch(): void {
    clearInterval(this.#watchdog);
  }

  /** Another process is the main process of the service from now on. */
  mainProcess(pid: number): void {
    this.#tell([`MAINPID=${pid}`]);
  }

  #tell(lines: readonly string[]): void {
    if (this.#send === undefined) return;
    this.#attempt(() => this.#send?.(lines.join('\n')));
  }

  /** A service manager that cannot be reached is no reason to serve nobody. */
  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#log.warn({ reason: (error as Error).message }, 'the service manager cannot be told');
    }
  }
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ').slice(0, STATUS_CHARACTERS_MAX);
}

/** Loaded when there is somebody to talk to: nobody else pays for it. */
function senderTo(path: string): Send {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  // What this program is linked with: libc has another name on every kind of system.
  const libc = koffi.load(null);
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const sendto = libc.func(
    'long sendto(int fd, const uint8_t *bytes, size_t count, int flags, const uint8_t *address, uint32_t size)',
  );
  const address = unixAddress(path);
  const fd = socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0) as number;
  if (fd < 0) throw new Error(`no Unix socket: error ${koffi.errno()}`);
  return (text) => {
    const bytes = Buffer.from(text);
    const sent = sendto(fd, bytes, bytes.length, MSG_NOSIGNAL, address, address.length) as number;
    if (sent < 0) throw new Error(`sendto ${path}: error ${koffi.errno()}`);
  };
}

/** struct sockaddr_un, unix(7): the family, then the path; `@` stands for the zero byte of an abstract one. */
function unixAddress(path: string): Buffer {
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`);
  if (name.length > PATH_BYTES_MAX) throw new Error(`NOTIFY_SOCKET is too long: ${path}`);
  return Buffer.concat([new Uint8Array(new Uint16Array([AF_UNIX]).buffer), name]);
}
