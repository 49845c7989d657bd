/** The mesh on real sockets and in the simulator, each beside a named base. */
import type { MembershipSettings } from '../../src/sync/settings.ts';
import { measureDetection, measureRumour, measureStalls } from '../../src/sync/sim/measures.ts';
import type { Measured } from '../measure/bench-report.ts';
import { type Contest, contestSteps, runContest } from '../measure/contest.ts';
import type { FactTable } from '../measure/envelope.ts';
import { describeMachine } from '../measure/machine.ts';
import type { Progress } from '../measure/progress.ts';
import { type Sample, short } from '../measure/report.ts';
import { type DeliveryResult, measureChaos, measureDelivery, measureMemory } from './scenarios.ts';

export interface MeshBenchOptions {
  /** Small and short: to see that it runs, not to believe its numbers. */
  readonly quick: boolean;
  /** Only these; default all. */
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

class MeshBench {
  readonly #quick: boolean;
  readonly #facts = new Map<string, [string, string]>();

  constructor(quick: boolean) {
    this.#quick = quick;
  }

  contests(only?: readonly string[]): Contest[] {
    const quick = this.#quick;
    const all = [
      this.#delivery(),
      this.#detection(10, quick ? 2 : 10),
      this.#detection(100, quick ? 1 : 5),
      this.#detection(quick ? 200 : 500, 1),
      this.#rumour(quick ? 200 : 500, quick ? 3 : 12),
      this.#stalls(),
    ];
    return all.filter(({ name }) => only?.includes(name) ?? true);
  }

  /** Real processes, of which only counts are taken. */
  async counts(only: readonly string[] | undefined, progress: Progress): Promise<void> {
    const quick = this.#quick;
    if (only?.includes('memory') ?? true) {
      progress.step('memory of a home process');
      const { tickets, bytesPerTicket } = await measureMemory(quick ? 50_000 : 1_000_000);
      this.#note(
        'memory',
        `growth of a home’s process, ${short(tickets)} tickets`,
        `${short(bytesPerTicket)} B per ticket`,
      );
      progress.done();
    }
    if (only?.includes('chaos') ?? true) {
      progress.step('processes killed under load');
      const chaos = await measureChaos(quick ? 3_000 : 10_000, quick ? 8 : 120, 1);
      const what = `${chaos.kills} kills in ${chaos.seconds} s at ${short(chaos.ticketsPerSecond)} tickets/s`;
      this.#note('chaos', `${what}: live flows`, short(chaos.liveTickets));
      this.#note('lost', `${what}: not known at a home (must be 0)`, String(chaos.lost));
      this.#note('stale', `${what}: ended and still known (must be 0)`, String(chaos.stale));
      progress.done();
    }
  }

  facts(): FactTable[] {
    if (this.#facts.size === 0) return [];
    const about = 'counts, of the last round where there were several';
    return [{ name: 'counts', about, head: ['', 'value'], rows: [...this.#facts.values()] }];
  }

  #note(key: string, name: string, value: string): void {
    this.#facts.set(key, [name, value]);
  }

  #delivery(): Contest {
    const perS = this.#quick ? 2_000 : 10_000;
    const seconds = this.#quick ? 2 : 20;
    const contender = (name: string, loss: number) => ({
      name,
      measure: async (): Promise<Sample> => {
        const result = await measureDelivery(perS, seconds, loss, this.#quick ? 2_000 : 10_000);
        this.#noteDelivery(name, result);
        const { tickets, missing, arrivalMs } = result;
        return { value: arrivalMs.p99, served: 2 * tickets - missing, failed: missing };
      },
    });
    return {
      name: 'delivery',
      about: `${short(perS)} new tickets a second from one process to two homes; until a home knows, 99th percentile`,
      unit: 'ms',
      bases: ['no loss'],
      targets: [],
      rounds: this.#quick ? 1 : 3,
      contenders: [contender('no loss', 0), contender('3 % lost', 0.03)],
    };
  }

  #noteDelivery(name: string, result: DeliveryResult): void {
    const percent = (result.inTimeShare * 100).toFixed(3);
    this.#note(`${name} in time`, `delivery, ${name}: known within 20 ms`, `${percent} %`);
    this.#note(
      `${name} missing`,
      `delivery, ${name}: missing after repair (must be 0)`,
      String(result.missing),
    );
    this.#note(
      `${name} bytes`,
      `delivery, ${name}: bytes sent per ticket, both homes, encrypted`,
      `${short(result.ownerBytesPerTicket)} B`,
    );
  }

  #detection(nodes: number, crashes: number): Contest {
    const contender = (name: string, settings: Partial<MembershipSettings>) => ({
      name,
      measure: (round: number): Sample => {
        const result = measureDetection({ nodes, seed: 1 + round, loss: LOSS, settings }, crashes);
        return { value: result.firstS.p50, served: crashes, failed: result.healthyDeclaredDead };
      },
    });
    return {
      name: `detection${nodes}`,
      about: `${nodes} simulated nodes, ${LOSS * 100} % loss: from a crash until the first node declares it; failed: healthy ones declared dead`,
      unit: 's',
      bases: [THEIRS],
      targets: [],
      rounds: this.#quick ? 1 : 5,
      contenders: [contender(OURS, {}), contender(THEIRS, MEMBERLIST_TIMES)],
    };
  }

  #rumour(nodes: number, rumours: number): Contest {
    const contender = (name: string, settings: Partial<MembershipSettings>) => ({
      name,
      measure: (round: number): Sample => {
        const result = measureRumour({ nodes, seed: 1 + round, loss: LOSS, settings }, rumours);
        return { value: result.allMs.p50, served: rumours * nodes, failed: result.missed };
      },
    });
    return {
      name: `rumour${nodes}`,
      about: `${nodes} simulated nodes, ${LOSS * 100} % loss: until the last node knows; failed: nodes that never heard`,
      unit: 'ms',
      bases: [THEIRS],
      targets: [],
      rounds: this.#quick ? 1 : 3,
      contenders: [contender(OURS, {}), contender(THEIRS, MEMBERLIST_TIMES)],
    };
  }

  #stalls(): Contest {
    const durationMs = this.#quick ? 20_000 : 300_000;
    const contender = (name: string, settings: Partial<MembershipSettings>) => ({
      name,
      measure: (round: number): Sample => {
        const options = { nodes: 100, seed: 1 + round, loss: 0, settings };
        const { healthyKilled, stalls } = measureStalls(options, 10, 12_000, durationMs);
        return { value: healthyKilled, served: stalls, failed: 0 };
      },
    });
    return {
      name: 'stalls100',
      about: `10 of 100 simulated nodes stand still for 12 s again and again, for ${durationMs / 1_000} s: healthy nodes that are declared dead; served: stalls`,
      unit: 'nodes',
      bases: ['without stall guard'],
      targets: [],
      rounds: this.#quick ? 1 : 3,
      contenders: [contender(OURS, {}), contender('without stall guard', { stallGuard: false })],
    };
  }
}

const COUNTS = ['memory', 'chaos'];

export const measurementNames: readonly string[] = [
  ...new MeshBench(false).contests().map(({ name }) => name),
  ...COUNTS,
];

/** Names as `--quick` has them too: its meshes are smaller. */
const sized = (quick: boolean, only: readonly string[] | undefined) =>
  quick ? only?.map((name) => name.replace(/500$/, '200')) : only;

/** How often `progress.done` is called in a run. */
export function meshSteps({ quick, only }: Pick<MeshBenchOptions, 'quick' | 'only'>): number {
  const contests = new MeshBench(quick).contests(sized(quick, only));
  const counts = COUNTS.filter((name) => only?.includes(name) ?? true).length;
  return contests.reduce((sum, contest) => sum + contestSteps(contest), counts);
}

/** @throws BenchError when a process of it dies. */
export async function runMeshBench(options: MeshBenchOptions): Promise<Measured> {
  const { quick, progress, signal } = options;
  const only = sized(quick, options.only);
  const bench = new MeshBench(quick);
  const scenarios = [];
  for (const contest of bench.contests(only)) {
    scenarios.push(await runContest(contest, progress, signal));
  }
  signal.throwIfAborted();
  await bench.counts(only, progress);
  return {
    bench: 'mesh',
    takenAt: new Date().toISOString(),
    machine: describeMachine(),
    method: [
      'delivery, memory and chaos: real processes on this machine’s loopback. The rest: the real code in a simulated network on a virtual clock, one seed per round, so the machine’s load does not matter.',
      `${THEIRS}: this mesh with the times of memberlist’s DefaultLANConfig and without verifiers; its ring of probes stays.`,
      'Contenders take turns in every round; ratios compare values of one round. Shown: median (quartiles).',
    ],
    scenarios,
    facts: bench.facts(),
  };
}
