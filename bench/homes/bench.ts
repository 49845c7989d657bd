/** The directory's parts by themselves, each beside a named base. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Homes } from '../../src/sync/homes.ts';
import type { Measured } from '../measure/bench-report.ts';
import { type Contest, contestSteps, runContest } from '../measure/contest.ts';
import type { FactTable } from '../measure/envelope.ts';
import { BenchError } from '../measure/errors.ts';
import { describeMachine } from '../measure/machine.ts';
import type { Progress } from '../measure/progress.ts';
import { type Sample, short } from '../measure/report.ts';
import { Directories } from './directories.ts';
import { memberNamed } from './member.ts';
import type { MemoryAnswer, MemoryOrder } from './memory-process.ts';

export interface HomesSize {
  readonly rounds: number;
  /** Of the table of homes. */
  readonly nodes: number;
  /** In memory. */
  readonly tickets: number;
  /** Virtual seconds of new tickets. */
  readonly streamSeconds: number;
  /** Sent again to a home that lost its memory. */
  readonly refillTickets: number;
}

export const homesFullSize: HomesSize = {
  rounds: 9,
  nodes: 500,
  tickets: 1_000_000,
  streamSeconds: 10,
  refillTickets: 400_000,
};

export const homesQuickSize: HomesSize = {
  rounds: 3,
  nodes: 200,
  tickets: 200_000,
  streamSeconds: 2,
  refillTickets: 60_000,
};

export const homesScenarios = ['homes-table', 'store-memory', 'store-put', 'stream', 'refill'];

export interface HomesBenchOptions {
  readonly size: HomesSize;
  /** Names of {@link homesScenarios}. */
  readonly only?: readonly string[] | undefined;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** How often `progress.done` is called in a run. */
export function homesSteps({ size, only }: Pick<HomesBenchOptions, 'size' | 'only'>): number {
  const bench = new HomesBench(size);
  return bench.contests(only).reduce((sum, contest) => sum + contestSteps(contest), 0);
}

/** @throws BenchError when a process of it dies. */
export async function runHomesBench(options: HomesBenchOptions): Promise<Measured> {
  const bench = new HomesBench(options.size);
  const scenarios = [];
  for (const contest of bench.contests(options.only)) {
    scenarios.push(await runContest(contest, options.progress, options.signal));
  }
  return {
    bench: 'homes',
    takenAt: new Date().toISOString(),
    machine: describeMachine(),
    method: [
      'Parts of the flow-ticket directory without sockets and encryption, on a virtual clock; processor time is that of this process.',
      'Contenders take turns in every round; ratios compare values of one round. Shown: median (quartiles).',
    ],
    scenarios,
    facts: bench.facts(),
  };
}

/** Milliseconds of processor time that `work` took. */
function cpuMs(work: () => void): number {
  const from = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1_000;
}

class HomesBench {
  readonly #size: HomesSize;
  /** Longest slice of a table's build, milliseconds of processor time. */
  #sliceMs = 0;
  readonly #streamed = new Map<string, { bytes: number; datagrams: number; tickets: number }>();
  #refilled: { tickets: number; virtualMs: number; bytes: number; eventMs: number } | undefined;
  readonly #memory = new Map<string, MemoryAnswer>();

  constructor(size: HomesSize) {
    this.#size = size;
  }

  contests(only?: readonly string[]): Contest[] {
    const all = [this.#table(), ...this.#stores(), this.#stream(), this.#refill()];
    return all.filter(({ name }) => only?.includes(name) ?? true);
  }

  /** Exact counts, which are the same in every round. */
  facts(): FactTable[] {
    const rows: [string, string][] = [];
    if (this.#sliceMs > 0) {
      rows.push([
        'longest slice of a table’s build, later rounds',
        `${short(this.#sliceMs)} ms CPU`,
      ]);
    }
    for (const [name, { bytes, datagrams, tickets }] of this.#streamed) {
      const per = (value: number) => short(value / tickets / 2);
      rows.push([`${name}: bytes per ticket and home`, per(bytes)]);
      rows.push([`${name}: datagrams per ticket and home`, per(datagrams)]);
    }
    if (this.#refilled !== undefined) {
      const { tickets, virtualMs, bytes, eventMs } = this.#refilled;
      rows.push([`refill of ${short(tickets)} tickets, paced`, `${short(virtualMs)} ms`]);
      rows.push(['refill: bytes per ticket', short(bytes / tickets)]);
      rows.push(['refill: longest event', `${short(eventMs)} ms CPU`]);
    }
    if (rows.length === 0) return [];
    const about = 'repeats and acknowledgements included; what a home is sent, without encryption';
    return [{ name: 'directory', about, head: ['', 'value'], rows }];
  }

  #table(): Contest {
    const { nodes, rounds } = this.#size;
    const build = (homes: Homes, nowMs: number, noted: boolean): Sample => {
      const value = cpuMs(() => {
        do {
          const from = process.threadCpuUsage();
          homes.tick(nowMs);
          const { user, system } = process.threadCpuUsage(from);
          if (noted) this.#sliceMs = Math.max(this.#sliceMs, (user + system) / 1_000);
        } while (homes.nextWakeupMs() === 0);
      });
      return { value, served: homes.buckets, failed: 0 };
    };
    const fresh = () => {
      const homes = new Homes();
      homes.start(0, 0, memberNamed('node-0'));
      for (let i = 1; i < nodes; i += 1) homes.observe(0, 'joined', i, memberNamed(`node-${i}`));
      return homes;
    };
    const standing = fresh();
    let nowMs = 1_000;
    build(standing, nowMs, false);
    // One leaves and comes back in turn: each way is measured from the other's table.
    const change = (is: 'left' | 'alive'): Sample => {
      const other = is === 'left' ? 'alive' : 'left';
      for (const status of [other, is] as const) {
        nowMs += 20_000;
        standing.observe(nowMs, status, 7, memberNamed('node-7', { status }));
        nowMs += 1_000;
        if (status === is) break;
        build(standing, nowMs, false);
      }
      return build(standing, nowMs, false);
    };
    return {
      name: 'homes-table',
      about: `a table of ${nodes} nodes, and the one after a node left or joined`,
      unit: 'ms CPU',
      bases: ['whole table'],
      targets: [],
      rounds,
      contenders: [
        { name: 'whole table', measure: (round) => build(fresh(), 1_000, round > 0) },
        { name: 'one leaves', measure: () => change('left') },
        { name: 'one joins', measure: () => change('alive') },
      ],
    };
  }

  #stores(): Contest[] {
    const { tickets, rounds } = this.#size;
    const contenders = (of: (answer: MemoryAnswer) => number) =>
      (['store', 'map'] as const).map((kind) => ({
        name: kind === 'store' ? 'ticket store' : 'Map of objects',
        measure: async (round: number): Promise<Sample> => {
          // One process answers for both scenarios.
          const key = `${kind} ${round}`;
          const answer = this.#memory.get(key) ?? (await askProcess({ kind, tickets }));
          this.#memory.set(key, answer);
          return { value: of(answer), served: tickets, failed: 0 };
        },
      }));
    const shared = { bases: ['Map of objects'], targets: [], rounds: Math.min(rounds, 5) };
    return [
      {
        ...shared,
        name: 'store-memory',
        about: `growth of a process that takes ${short(tickets)} tickets`,
        unit: 'B/ticket',
        contenders: contenders(({ bytesPerTicket }) => bytesPerTicket),
      },
      {
        ...shared,
        name: 'store-put',
        about: 'the same tickets, processor time',
        unit: 'µs CPU/ticket',
        contenders: contenders(({ cpuMicrosPerTicket }) => cpuMicrosPerTicket),
      },
    ];
  }

  #stream(): Contest {
    const { rounds, streamSeconds } = this.#size;
    const contender = (name: string, perS: number, loss: number) => ({
      name,
      measure: (round: number): Sample => {
        const net = new Directories(3, loss, 2_000_000, 7 + round);
        const { bytes, datagrams } = net.sent;
        const tickets = perS * streamSeconds;
        const value = cpuMs(() => {
          for (let ms = 0; ms < streamSeconds * 1_000; ms += 1) {
            net.publish(Math.floor(((ms + 1) * perS) / 1_000) - Math.floor((ms * perS) / 1_000));
            net.advance(net.nowMs + 1);
          }
        });
        net.advance(net.nowMs + 3_000);
        const sent = { bytes: net.sent.bytes - bytes, datagrams: net.sent.datagrams - datagrams };
        this.#streamed.set(name, { ...sent, tickets });
        const kept = net.nodes.slice(1).map((node) => node.counters.ticketsKept ?? 0);
        const failed = kept.reduce((sum, one) => sum + tickets - one, 0);
        return { value: (value * 1_000) / tickets, served: 2 * tickets - failed, failed };
      },
    });
    return {
      name: 'stream',
      about: 'new tickets from an owner to two homes, all three nodes together',
      unit: 'µs CPU/ticket',
      bases: ['10,000/s'],
      targets: [],
      rounds,
      contenders: [
        contender('10,000/s', 10_000, 0),
        contender('10,000/s, 3 % lost', 10_000, 0.03),
        contender('1,000/s', 1_000, 0),
      ],
    };
  }

  #refill(): Contest {
    const { rounds, refillTickets } = this.#size;
    const filled = (round: number, timed: boolean) => {
      const net = new Directories(2, 0, 3 * refillTickets, 7 + round, timed);
      const value = cpuMs(() => {
        for (let left = refillTickets; left > 0; left -= 200) {
          net.publish(Math.min(200, left));
          net.advance(net.nowMs + 2);
        }
        net.advance(net.nowMs + 5_000);
      });
      return { net, value };
    };
    const kept = (net: Directories) => net.nodes[1]?.counters.ticketsKept ?? 0;
    const sample = (net: Directories, ms: number): Sample => ({
      value: (ms * 1_000) / refillTickets,
      served: kept(net),
      failed: refillTickets - kept(net),
    });
    const refill = (round: number): Sample => {
      const { net } = filled(round, true);
      net.restart(1);
      net.forgetEvents();
      const [fromMs, bytes] = [net.nowMs, net.sent.streamBytes];
      const value = cpuMs(() => {
        while (kept(net) < refillTickets && net.nowMs < fromMs + 60_000)
          net.advance(net.nowMs + 50);
      });
      this.#refilled = {
        tickets: refillTickets,
        virtualMs: net.nowMs - fromMs,
        bytes: net.sent.streamBytes - bytes,
        eventMs: net.longestEventMs,
      };
      return sample(net, value);
    };
    return {
      name: 'refill',
      about: `a home that lost its memory gets ${short(refillTickets)} tickets again, both sides`,
      unit: 'µs CPU/ticket',
      bases: ['first time, by frames'],
      targets: [],
      rounds: Math.min(rounds, 5),
      contenders: [
        {
          name: 'first time, by frames',
          measure: (round) => {
            const { net, value } = filled(round, true);
            return sample(net, value);
          },
        },
        { name: 'again, by snapshots', measure: refill },
      ],
    };
  }
}

const SUFFIX = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const MEMORY_PROCESS = fileURLToPath(new URL(`./memory-process${SUFFIX}`, import.meta.url));
const ANSWER_MS = 120_000;

function askProcess(order: MemoryOrder): Promise<MemoryAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<MemoryAnswer>();
  const child = fork(MEMORY_PROCESS, [], { execArgv: ['--expose-gc'] });
  const late = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS);
  child.once('message', (answer: MemoryAnswer) => resolve(answer));
  child.once('error', reject);
  child.once('exit', (code, signal) => {
    clearTimeout(late);
    const how = code ?? signal ?? 'unknown';
    reject(new BenchError(`A process that fills memory ended (${how}).`, 'ERR_BENCH_PROCESS'));
  });
  child.send(order);
  return promise;
}
