/** What is known of one origin of one route. A core; changed only by `OriginPool` and its parts. */
import type { Origin } from '../config/origin.ts';

export class OriginState {
  readonly id: string;
  readonly origin: Origin;
  /** Place in the route's list. */
  readonly index: number;
  /** Requests and tunnels that hold a place now. */
  inFlight = 0;
  /** By active checks. True until one says otherwise. */
  healthy = true;
  /** By passive ejection: out until then. 0 when never ejected. */
  ejectedUntilMs = 0;
  consecutiveFailures = 0;
  /** Length of the last ejection; 0 when never ejected. */
  lastEjectionMs = 0;
  /** It answered since it was last ejected. */
  provenSinceEjection = false;
  /** Counted since the pool was made. */
  requests = 0;
  failures = 0;
  ejections = 0;

  constructor(origin: Origin, index: number) {
    this.id = origin.id;
    this.origin = origin;
    this.index = index;
  }

  isEjected(nowMs: number): boolean {
    return this.ejectedUntilMs > nowMs;
  }
}
