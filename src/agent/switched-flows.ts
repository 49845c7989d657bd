/** The flows whose packets this node relays: the last ones for people, and counts of all. */
import type { TicketSource } from '../datapath/ticket-table.ts';

/** One flow that was switched: its first relayed packet at this node. */
export interface SwitchedFlow {
  /** ISO 8601. */
  readonly at: string;
  /** `203.0.113.7:51000` */
  readonly client: string;
  readonly vip: string;
  /** Where the packet came in: this node. */
  readonly entry: string;
  /** Who holds the socket; `null` for a node that was forgotten meanwhile. */
  readonly owner: string | null;
  /** How this node knew: its own directory, a home, or a search of all nodes. */
  readonly foundBy: TicketSource;
}

const RECENT_MAX = 64;
/** Lines logged per second; a flap of many thousand flows must not fill the disk. */
const LINES_PER_SECOND = 100;

export class SwitchedFlows {
  readonly #recent: SwitchedFlow[] = [];
  readonly #log: (flow: SwitchedFlow) => void;
  readonly #suppressed: (count: number) => void;
  readonly counts: Record<TicketSource, number> = { directory: 0, home: 0, search: 0 };
  #secondMs = Number.NEGATIVE_INFINITY;
  #lines = 0;

  /** @param suppressed told once a second how many lines were left out. */
  constructor(log: (flow: SwitchedFlow) => void, suppressed: (count: number) => void) {
    this.#log = log;
    this.#suppressed = suppressed;
  }

  /** The last ones, newest first. */
  get recent(): readonly SwitchedFlow[] {
    return this.#recent.toReversed();
  }

  get total(): number {
    return this.counts.directory + this.counts.home + this.counts.search;
  }

  add(nowMs: number, flow: SwitchedFlow): void {
    this.counts[flow.foundBy]++;
    this.#recent.push(flow);
    if (this.#recent.length > RECENT_MAX) this.#recent.shift();
    if (nowMs - this.#secondMs >= 1_000) {
      if (this.#lines > LINES_PER_SECOND) this.#suppressed(this.#lines - LINES_PER_SECOND);
      this.#secondMs = nowMs;
      this.#lines = 0;
    }
    if (++this.#lines <= LINES_PER_SECOND) this.#log(flow);
  }
}
