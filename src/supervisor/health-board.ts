/** What the health checks have found, for workers that start later. A core without IO. */
import type { OriginHealth } from './messages.ts';

export class HealthBoard {
  readonly #unhealthy = new Map<string, OriginHealth>();

  /** Notes a change of one origin of one route. */
  set(health: OriginHealth): void {
    const name = `${health.key}\n${health.originId}`;
    if (health.healthy) this.#unhealthy.delete(name);
    else this.#unhealthy.set(name, health);
  }

  /** Origins that are not healthy. The others need no word: workers believe the best. */
  get unhealthy(): readonly OriginHealth[] {
    return [...this.#unhealthy.values()];
  }
}
