/** How long packets take between cities. A core without IO. */
import type { City } from './cities.ts';

/** Mean radius of the earth (IUGG), kilometres. */
const EARTH_KM = 6_371.0088;
/** Light in glass: two thirds of its speed in vacuum. */
const FIBRE_KM_PER_MS = 200;
/**
 * Line of sight to what packets take: 2.1 times, over the speed of light in fibre, is the rule of
 * thumb of earlier measurements that Bozkurt et al. give in "Dissecting Latency in the Internet's
 * Fiber Infrastructure", arXiv:1811.10737 (2018). Good backbones between PoPs are nearer to 1.5.
 */
export const FIBRE_FACTOR = 2.1;
/** Between two nodes of one PoP, and added once to every longer way: switches and queues. */
export const LOCAL_MS = 0.25;

/** Great-circle distance (haversine formula), kilometres. */
export function distanceKm(a: City, b: City): number {
  const radians = (degrees: number) => (degrees * Math.PI) / 180;
  const dLatitude = radians(b.latitude - a.latitude);
  const dLongitude = radians(b.longitude - a.longitude);
  const h =
    Math.sin(dLatitude / 2) ** 2 +
    Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * Math.sin(dLongitude / 2) ** 2;
  return 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** One-way delays by number of the city, milliseconds. */
export class LatencyMatrix {
  readonly size: number;
  readonly #ms: Float64Array;
  readonly #nearest: Int32Array;

  constructor(cities: readonly City[], fibreFactor: number = FIBRE_FACTOR) {
    const size = cities.length;
    this.size = size;
    this.#ms = new Float64Array(size * size);
    this.#nearest = new Int32Array(size);
    for (const [i, a] of cities.entries()) {
      let best = -1;
      for (const [j, b] of cities.entries()) {
        const wayMs = (distanceKm(a, b) * fibreFactor) / FIBRE_KM_PER_MS + LOCAL_MS;
        this.#ms[i * size + j] = wayMs;
        if (i !== j && (best < 0 || wayMs < this.ms(i, best))) best = j;
      }
      this.#nearest[i] = best;
    }
  }

  /** One way. */
  ms(from: number, to: number): number {
    return this.#ms[from * this.size + to]!;
  }

  /** The other city that is reached soonest; -1 when there is none. */
  nearest(city: number): number {
    return this.#nearest[city]!;
  }

  /** Over all pairs of different cities. */
  meanMs(): number {
    let sum = 0;
    for (let i = 0; i < this.size; i++) {
      for (let j = 0; j < this.size; j++) if (i !== j) sum += this.ms(i, j);
    }
    return this.size < 2 ? LOCAL_MS : sum / (this.size * (this.size - 1));
  }
}
