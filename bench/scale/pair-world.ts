/**
 * What flow tickets cost on the wire between one owner and one home. A small simulated mesh runs the
 * real directory with as many tickets, births and ends per pair of nodes as the big one has: a pair
 * cannot tell the difference, and the big mesh is made of pairs.
 */
import { type Counted, WholeWorld } from './whole-world.ts';

const NODES = 4;
const HOMES = 3;
const SECONDS_MAX = 15;
/** Flow births simulated at most. */
const BIRTHS_MAX = 60_000;
/** Tickets per node from which more make no difference: every group of a digest has some. */
const TICKETS_MAX = 8_000;

export interface PairLoad {
  readonly nodes: number;
  /** Of all nodes together, at any time. */
  readonly flows: number;
  readonly loss: number;
  /** One way, over all pairs of nodes. */
  readonly meanDelayMs: number;
  readonly seed: number;
}

export interface PairTraffic {
  /** Mean life of a flow, seconds; births are Poisson distributed. */
  readonly lifeS: number;
  /** From one node to one other: its tickets, and its answers about the other's. */
  readonly bytesPerS: number;
  readonly datagramsPerS: number;
  /** Births and ends per second from one owner to one home. */
  readonly recordsPerS: number;
}

/**
 * For flows of each of these lives, in seconds. Without IP and UDP headers; membership is
 * subtracted.
 */
export function measurePairs(load: PairLoad, livesS: readonly number[]): PairTraffic[] {
  const { nodes, flows } = load;
  // Each ticket goes to three homes: of all nodes there, of four here, the owner being one of them.
  const scale = NODES / nodes;
  const kept = Math.min(TICKETS_MAX, Math.round((flows / nodes) * scale));
  const traffic = (birthsPerS: number, tickets: number, seconds: number): Counted => {
    const whole = new WholeWorld({ ...load, nodes: NODES });
    whole.fill(tickets);
    const { bytes, datagrams } = whole.load(birthsPerS, seconds);
    const per = NODES * (NODES - 1) * seconds;
    return { bytes: bytes / per, datagrams: datagrams / per };
  };
  const quiet = traffic(0, 0, SECONDS_MAX);
  return livesS.map((lifeS) => {
    const birthsPerS = flows / lifeS / nodes;
    const rate = birthsPerS * scale;
    const seconds = Math.max(1, Math.min(SECONDS_MAX, BIRTHS_MAX / (rate * NODES)));
    const busy = traffic(rate, kept, seconds);
    return {
      lifeS,
      bytesPerS: Math.max(0, busy.bytes - quiet.bytes),
      datagramsPerS: Math.max(0, busy.datagrams - quiet.datagrams),
      recordsPerS: (2 * birthsPerS * HOMES) / nodes,
    };
  });
}
