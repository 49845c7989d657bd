/** Idle connections to one origin, the most recently used first. */
import type { OriginCall } from './origin-call.ts';
import { type ConnectionKeeper, OriginConnection } from './origin-connection.ts';
import type { OriginSocketOptions } from './origin-socket.ts';

/** Idle connections kept; of more, the oldest is closed. */
const IDLE_MAX = 256;
/** How often the age of idle ones is looked at. */
const SWEEP_MS = 1_000;

export class OriginConnections implements ConnectionKeeper {
  readonly #options: () => OriginSocketOptions;
  readonly #connectMs: number;
  readonly #idle: OriginConnection[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param options asked anew for each connection. */
  constructor(options: () => OriginSocketOptions, connectMs: number) {
    this.#options = options;
    this.#connectMs = connectMs;
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  call(call: OriginCall): void {
    const nowMs = performance.now();
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined) break;
      if (nowMs - connection.idleSinceMs <= connection.keepMs) return connection.carry(call);
      connection.abandon();
    }
    this.#connect(call);
  }

  onIdle(connection: OriginConnection): void {
    if (this.#closed) return connection.abandon();
    connection.idleSinceMs = performance.now();
    this.#idle.push(connection);
    if (this.#idle.length > IDLE_MAX) this.#idle.shift()?.abandon();
    this.#timer ??= setInterval(() => this.#sweep(performance.now()), SWEEP_MS).unref();
  }

  onIdleClosed(connection: OriginConnection): void {
    const index = this.#idle.lastIndexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  onStale(call: OriginCall): void {
    this.#connect(call);
  }

  /** Closes idle connections, now and whenever one becomes idle; requests under way finish. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const connection of this.#idle.splice(0)) connection.abandon();
  }

  #connect(call: OriginCall): void {
    new OriginConnection(this, this.#options(), this.#connectMs, call);
  }

  #sweep(nowMs: number): void {
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const connection = this.#idle[i] as OriginConnection;
      if (nowMs - connection.idleSinceMs <= connection.keepMs) continue;
      this.#idle.splice(i, 1);
      connection.abandon();
    }
    if (this.#idle.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
