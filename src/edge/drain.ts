/** Leaving service step by step. A core: time is handed in, what it closes is handed in. */
import type { Config } from '../config/schema.ts';
import type { ClientConnection } from './connection.ts';
import type { Forwarding } from './forward.ts';
import type { Roster } from './roster.ts';
import type { Tunnel } from './tunnel.ts';

/** A connection that asked nothing by then is closed: it may never ask. */
const SILENT_MS = 1_000;

export interface Draining {
  readonly gateway: {
    readonly active: Roster<Forwarding>;
    readonly tunnels: Roster<Tunnel>;
  };
  readonly connections: Roster<ClientConnection>;
  /** Closes keep-alive connections that wait for their next request. */
  readonly closeIdle: () => void;
}

export class Drain {
  /** Resolves when nothing is left, to the number of connections that were cut. */
  readonly ended: Promise<{ cut: number }>;
  readonly #draining: Draining;
  readonly #config: Config['drain'];
  readonly #beganMs: number;
  readonly #tunnelsAtStart: number;
  #tunnelsAsked = 0;
  #resolve: (result: { cut: number }) => void = () => undefined;
  #done = false;

  constructor(draining: Draining, config: Config['drain'], nowMs: number) {
    this.#draining = draining;
    this.#config = config;
    this.#beganMs = nowMs;
    this.#tunnelsAtStart = draining.gateway.tunnels.size;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Does what is due. Call a few times a second. */
  step(nowMs: number): void {
    if (this.#done) return;
    const { gateway, connections, closeIdle } = this.#draining;
    const elapsedMs = nowMs - this.#beganMs;
    closeIdle();
    if (elapsedMs >= SILENT_MS) {
      for (const connection of connections) {
        if (connection.exchanges.length === 0) connection.socket?.end();
      }
    }
    this.#askTunnels(elapsedMs, nowMs);
    if (elapsedMs >= this.#config.deadlineMs) {
      const cut = connections.size;
      for (const tunnel of gateway.tunnels) tunnel.cut();
      for (const forwarding of gateway.active) forwarding.cut();
      for (const connection of connections) connection.socket?.destroy();
      this.#end(cut);
    } else if (connections.size === 0) {
      this.#end(0);
    }
  }

  /** Evenly over the spread: clients that all reconnect at once would be a flood of their own making. */
  #askTunnels(elapsedMs: number, nowMs: number): void {
    const { tunnels } = this.#draining.gateway;
    const spreadMs = Math.min(this.#config.tunnelSpreadMs, this.#config.deadlineMs / 2);
    const share = spreadMs === 0 ? 1 : Math.min(1, elapsedMs / spreadMs);
    const due = Math.ceil(this.#tunnelsAtStart * share);
    for (const tunnel of tunnels) {
      if (this.#tunnelsAsked >= due && share < 1) break;
      if (tunnel.close(nowMs)) this.#tunnelsAsked += 1;
    }
  }

  #end(cut: number): void {
    this.#done = true;
    this.#resolve({ cut });
  }
}
