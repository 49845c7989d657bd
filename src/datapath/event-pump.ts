/** The timer that empties the event ring: often while there is something to read, seldom else. */
import type { EventReader, EventRing } from './event-ring.ts';

export interface EventPumpOptions {
  /** Wait after a round that read something, milliseconds. Default 2. */
  readonly busyMs?: number;
  /** Wait after a round that read `crowd` events or more: fewer, fuller rounds. Default 4. */
  readonly crowdMs?: number;
  /** Default: never. */
  readonly crowd?: number;
  /** Longest wait; doubles from `busyMs` while nothing comes. Default 16. */
  readonly idleMs?: number;
  /** Events read in one round; more are left for the next, which follows at once. Default 8,192. */
  readonly most?: number;
  /** Called after each round that read something, to send what it caused. */
  readonly afterRound?: () => void;
}

export class EventPump {
  readonly #ring: Pick<EventRing, 'drain'>;
  readonly #reader: EventReader;
  readonly #busyMs: number;
  readonly #crowdMs: number;
  readonly #crowd: number;
  readonly #idleMs: number;
  readonly #most: number;
  readonly #afterRound: () => void;
  #waitMs: number;
  #timer: NodeJS.Timeout | undefined;
  #running = false;

  constructor(ring: Pick<EventRing, 'drain'>, reader: EventReader, options: EventPumpOptions = {}) {
    this.#ring = ring;
    this.#reader = reader;
    this.#busyMs = options.busyMs ?? 2;
    this.#crowdMs = options.crowdMs ?? 4;
    this.#crowd = options.crowd ?? Number.POSITIVE_INFINITY;
    this.#idleMs = options.idleMs ?? 16;
    this.#most = options.most ?? 8_192;
    this.#afterRound = options.afterRound ?? (() => {});
    this.#waitMs = this.#busyMs;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#arm(0);
  }

  /** Reads nothing any more; call it before the datapath is closed. */
  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  #arm(waitMs: number): void {
    this.#timer = setTimeout(() => this.#round(), waitMs);
  }

  #round(): void {
    let count = 0;
    try {
      count = this.#ring.drain(this.#reader, this.#most);
      if (count > 0) this.#afterRound();
    } finally {
      // The reader may have stopped us.
      if (this.#running) {
        this.#waitMs = count > 0 ? this.#busyMs : Math.min(this.#waitMs * 2, this.#idleMs);
        const waitMs = count >= this.#crowd ? this.#crowdMs : this.#waitMs;
        this.#arm(count === this.#most ? 0 : waitMs);
      }
    }
  }
}
