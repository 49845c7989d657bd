/** The mesh on real sockets and in the simulator, each beside a named base. */
import type { MembershipSettings } from '../../src/sync/settings.ts';
import { measureDetection, measureRumour, measureStalls } from '../../src/sync/sim/measures.ts';
import type { Measured } from '../measure/bench-report.ts';
import { type Contest, contestSteps, runContest } from '../measure/contest.ts';
import type { FactTable } from '../measure/envelope.ts';
import { describeMachine } from '../measure/machine.ts';
import type { Progress } from '../measure/progress.ts';
import { type Sample, short } from '../measure/report.ts';
import type { Way } from './order.ts';
import { type DeliveryResult, measureChaos, measureDelivery, measureMemory } from './scenarios.ts';
import type { MeshSize } from './size.ts';

export interface MeshBenchOptions {
  readonly size: MeshSize;
  /** Only these of {@link measurementNames}; default all. */
  readonly only?: readonly string[] | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

const LOSS = 0.05;

/**
 * The times of memberlist's DefaultLANConfig (hashicorp/memberlist, config.go), as far as this mesh
 * has them: the same code, so what differs is the choice of times alone.
 */
const MEMBERLIST_TIMES: Partial<MembershipSettings> = {
  probeIntervalMs: 1_000,
  directTimeoutMinMs: 500,
  directTimeoutMaxMs: 500,
  suspicionMultiplier: 4,
  suspicionMaxFactor: 6,
  indirectProbes: 3,
  verifiers: 0,
  gossipIntervalMs: 200,
  gossipFanout: 3,
  gossipMultiplier: 4,
  gossipDelayMs: 200,
};

const OURS = 'as shipped';
const THEIRS = 'memberlist’s LAN times';
/** The base of what real processes do. */
const STREAM = 'plain TCP stream';

const CONTESTS = [
  'delivery',
  'detection10',
  'detection100',
  'detection500',
  'rumour500',
  'stalls100',
  'memory',
] as const;

export const measurementNames: readonly string[] = [...CONTESTS, 'chaos'];

class MeshBench {
  readonly #size: MeshSize;
  readonly #signal: AbortSignal;
  readonly #delivered = new Map<string, DeliveryResult>();
  readonly #facts = new Map<string, { readonly value: number; readonly text: string }>();

  constructor(size: MeshSize, signal: AbortSignal) {
    this.#size = size;
    this.#signal = signal;
  }

  contests(only: readonly string[] = measurementNames): Contest[] {
    const [small, middle, large] = this.#size.detections;
    const all: Record<(typeof CONTESTS)[number], () => Contest[]> = {
      delivery: () => this.#delivery(),
      detection10: () => [this.#detection(small)],
      detection100: () => [this.#detection(middle)],
      detection500: () => [this.#detection(large)],
      rumour500: () => [this.#rumour()],
      stalls100: () => [this.#stalls()],
      memory: () => [this.#memory()],
    };
    return CONTESTS.filter((name) => only.includes(name)).flatMap((name) => all[name]());
  }

  /** Real processes, of which only counts are taken. */
  async chaos(progress: Progress): Promise<void> {
    progress.step('processes killed under load');
    const plan = { ...this.#size.chaos, seed: 1, signal: this.#signal };
    const { kills, liveTickets, lost, stale } = await measureChaos(plan);
    const what = `${kills} kills in ${plan.seconds} s at ${short(plan.ticketsPerS)} tickets/s`;
    this.#note(`${what}: live flows`, liveTickets, String(liveTickets));
    this.#note(`${what}: not known at a home (must be 0)`, lost, String(lost));
    this.#note(`${what}: ended and still known (must be 0)`, stale, String(stale));
    progress.done();
  }

  facts(): FactTable[] {
    if (this.#facts.size === 0) return [];
    const about =
      'what is promised, as shipped: counts, shares in time and times of a simulated clock, the worst of all rounds; for these no base is needed';
    const rows = [...this.#facts].map(([name, { text }]) => [name, text]);
    return [{ name: 'promises', about, head: ['', 'value'], rows }];
  }

  /** Keeps the greatest value of all rounds. */
  #note(name: string, value: number, text: string): void {
    const known = this.#facts.get(name);
    if (known === undefined || value > known.value) this.#facts.set(name, { value, text });
  }

  /** One run of each contender and round tells of time, processor and bytes. */
  #delivery(): Contest[] {
    const { rounds, ...plan } = this.#size.delivery;
    const contender = (name: string, way: Way, dropShare: number) => {
      const run = async (round: number): Promise<DeliveryResult> => {
        const key = `${name} ${round}`;
        const known = this.#delivered.get(key);
        if (known !== undefined) return known;
        const { restMs } = this.#size;
        const options = { ...plan, way, dropShare, restMs, signal: this.#signal };
        const result = await measureDelivery(options);
        this.#delivered.set(key, result);
        if (way === 'mesh') this.#noteDelivery(name, result);
        return result;
      };
      return (of: (result: DeliveryResult) => number) => ({
        name,
        measure: async (round: number): Promise<Sample> => {
          const result = await run(round);
          const { tickets, missing } = result;
          return { value: of(result), served: 2 * tickets - missing, failed: missing };
        },
      });
    };
    const contenders = [
      contender(STREAM, 'stream', 0),
      contender('mesh', 'mesh', 0),
      contender('mesh, 3 % lost', 'mesh', 0.03),
    ];
    const part = (
      name: string,
      about: string,
      unit: string,
      of: (result: DeliveryResult) => number,
    ): Contest => ({
      name,
      about,
      unit,
      bases: [STREAM],
      targets: [],
      rounds,
      contenders: contenders.map((named) => named(of)),
    });
    const load = `${short(plan.ticketsPerS)} new tickets a second from one process to two homes`;
    return [
      part(
        'delivery',
        `${load}; until a home knows, 99th percentile`,
        'ms',
        (r) => r.arrivalMs.p99,
      ),
      part('owner-cpu', 'the same; the owner, less its rest', 'µs CPU/ticket', (r) =>
        Math.max(0, r.ownerCpuMicrosPerTicket),
      ),
      part('home-cpu', 'the same; a home, less its rest', 'µs CPU/ticket', (r) =>
        Math.max(0, r.homeCpuMicrosPerTicket),
      ),
      part(
        'owner-bytes',
        'the same; sent by the owner to both homes, the mesh encrypted, the stream without heads',
        'B/ticket',
        (r) => r.ownerBytesPerTicket,
      ),
    ];
  }

  #noteDelivery(name: string, { inTimeShare, missing }: DeliveryResult): void {
    const percent = `${(inTimeShare * 100).toFixed(3)} %`;
    this.#note(`delivery, ${name}: known within 20 ms`, 1 - inTimeShare, percent);
    const text = `delivery, ${name}: missing after repair (must be 0)`;
    this.#note(text, missing, String(missing));
  }

  #memory(): Contest {
    const { rounds, tickets } = this.#size.memory;
    const contender = (name: string, way: Way) => ({
      name,
      measure: async (): Promise<Sample> => {
        const { restMs } = this.#size;
        const plan = { way, tickets, restMs, signal: this.#signal };
        const { kept, bytesPerTicket } = await measureMemory(plan);
        return { value: bytesPerTicket, served: kept, failed: tickets - kept };
      },
    });
    const base = `${STREAM} into a Map of objects`;
    return {
      name: 'memory',
      about: `growth of a home’s process that learns ${short(tickets)} tickets`,
      unit: 'B/ticket',
      bases: [base],
      targets: [{ contender: 'mesh', base: null, atMost: 80 }],
      rounds,
      contenders: [contender(base, 'stream'), contender('mesh', 'mesh')],
    };
  }

  #detection({ nodes, crashes, rounds }: MeshSize['detections'][number]): Contest {
    const contender = (name: string, settings: Partial<MembershipSettings>) => ({
      name,
      measure: (round: number): Sample => {
        const result = measureDetection({ nodes, seed: 1 + round, loss: LOSS, settings }, crashes);
        if (name === OURS) {
          const { firstS, bytesPerNodePerSecond: bytes } = result;
          this.#note(`detection, ${nodes} nodes: the latest`, firstS.max, `${short(firstS.max)} s`);
          const sent = `detection, ${nodes} nodes: bytes per node and second of a quiet mesh`;
          this.#note(sent, bytes, `${short(bytes)} B`);
        }
        return { value: result.firstS.p50, served: crashes, failed: result.healthyDeclaredDead };
      },
    });
    return {
      name: `detection${nodes}`,
      about: `${nodes} simulated nodes, ${LOSS * 100} % loss: from a crash until the first node declares it; failed: healthy ones declared dead`,
      unit: 's',
      bases: [THEIRS],
      targets: [],
      rounds,
      contenders: [contender(OURS, {}), contender(THEIRS, MEMBERLIST_TIMES)],
    };
  }

  #rumour(): Contest {
    const { nodes, rumours, rounds } = this.#size.rumour;
    const contender = (name: string, settings: Partial<MembershipSettings>) => ({
      name,
      measure: (round: number): Sample => {
        const result = measureRumour({ nodes, seed: 1 + round, loss: LOSS, settings }, rumours);
        if (name === OURS) {
          const { p99 } = result.allMs;
          this.#note(`rumour, ${nodes} nodes: 99th percentile`, p99, `${short(p99)} ms`);
        }
        return { value: result.allMs.p50, served: rumours * nodes, failed: result.missed };
      },
    });
    return {
      name: `rumour${nodes}`,
      about: `${nodes} simulated nodes, ${LOSS * 100} % loss: until the last node knows; failed: nodes that never heard`,
      unit: 'ms',
      bases: [THEIRS],
      targets: [],
      rounds,
      contenders: [contender(OURS, {}), contender(THEIRS, MEMBERLIST_TIMES)],
    };
  }

  #stalls(): Contest {
    const { nodes, stalling, durationMs, rounds } = this.#size.stalls;
    const contender = (name: string, settings: Partial<MembershipSettings>) => ({
      name,
      measure: (round: number): Sample => {
        const options = { nodes, seed: 1 + round, loss: 0, settings };
        const { healthyKilled, stalls } = measureStalls(options, stalling, 12_000, durationMs);
        return { value: healthyKilled, served: stalls, failed: 0 };
      },
    });
    return {
      name: `stalls${nodes}`,
      about: `${stalling} of ${nodes} simulated nodes stand still for 12 s again and again, for ${durationMs / 1_000} s: healthy nodes that are declared dead; served: stalls`,
      unit: 'nodes',
      bases: ['without stall guard'],
      targets: [],
      rounds,
      contenders: [contender(OURS, {}), contender('without stall guard', { stallGuard: false })],
    };
  }
}

const wantsChaos = (only: readonly string[] | undefined) => only?.includes('chaos') ?? true;

/** How often `progress.done` is called in a run. */
export function meshSteps({ size, only }: Pick<MeshBenchOptions, 'size' | 'only'>): number {
  const contests = new MeshBench(size, AbortSignal.abort()).contests(only);
  const steps = contests.reduce((sum, contest) => sum + contestSteps(contest), 0);
  return steps + (wantsChaos(only) ? 1 : 0);
}

/** @throws BenchError when a process of it dies, or the reason of `signal`. */
export async function runMeshBench(options: MeshBenchOptions): Promise<Measured> {
  const { size, only, progress, signal } = options;
  const bench = new MeshBench(size, signal);
  const scenarios = [];
  try {
    for (const contest of bench.contests(only)) {
      scenarios.push(await runContest(contest, progress, signal));
    }
    signal.throwIfAborted();
    if (wantsChaos(only)) await bench.chaos(progress);
  } catch (error) {
    // Whatever failed because everything was being stopped is not the reason.
    signal.throwIfAborted();
    throw error;
  }
  return {
    bench: 'mesh',
    takenAt: new Date().toISOString(),
    machine: describeMachine(),
    method: [
      'delivery with the processor time and bytes of it, memory and chaos: real processes on this machine’s loopback. The rest: the real code in a simulated network on a virtual clock, one seed per round, so the machine’s load does not matter.',
      `${STREAM}: between the same number of processes, one connection to each and a record of 18 bytes for each ticket, kept in a Map: no encryption, no loss, no repair.`,
      `${THEIRS}: this mesh with the times of memberlist’s DefaultLANConfig and without verifiers; its ring of probes stays.`,
      'Contenders take turns in every round; ratios compare values of one round. Shown: median (quartiles).',
    ],
    scenarios,
    facts: bench.facts(),
  };
}
