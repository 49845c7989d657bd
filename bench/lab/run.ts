/** Runs one scenario in a lab and computes its result. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientRun } from './clients/client.ts';
import { type ClientMix, SESSION_KINDS } from './clients/event.ts';
import { clientDrivers } from './clients/registry.ts';
import { monotonicMs } from './clock.ts';
import { runCommand } from './command.ts';
import { insideNamespace } from './daemons.ts';
import { Endings } from './endings.ts';
import { LabError } from './errors.ts';
import { type HealingCounters, type HealingDriver, sumCounters } from './healing/healing.ts';
import type { Lab } from './lab.ts';
import { Ledger } from './measure/ledger.ts';
import { computeResult, type FlipRecord, type LabResult } from './measure/result.ts';
import { countedBetween, parseTcpCounters, type TcpCounters } from './measure/tcp-counters.ts';
import type { RunObserver } from './observer.ts';
import type { FlipMethod } from './route/control.ts';
import { RouteMover } from './route/mover.ts';
import { type Scenario, timeline } from './scenarios/scenario.ts';
import { collectVersions } from './versions.ts';

export interface RunOptions {
  readonly scenario: Scenario;
  readonly healing: HealingDriver;
  readonly flip: FlipMethod;
  readonly seed: number;
  readonly durationMs: number;
  readonly clients: ClientMix;
  /** Size of one download or upload. Default 4 MiB. */
  readonly transferBytes?: number;
  /** From one message of a stream to the next. Default 20. */
  readonly everyMs?: number;
  /** A session without progress for this long has stalled. Default 10 000. */
  readonly stallMs?: number;
  /** How long after a flip its effect on gaps is looked for. Default 2 000. */
  readonly gapWindowMs?: number;
  readonly observer: RunObserver;
  readonly signal?: AbortSignal | undefined;
}

/** Sessions live this much longer than the run, so that those begun first do not end too early. */
const RAMP_MS = 1_500;
const START_TIMEOUT_MS = 15_000;
const LAST_WORDS_MS = 3_000;
const TICK_MS = 200;

/**
 * Starts the clients, lets the scenario happen, waits until every session has ended.
 * The lab stays up and can run the next one.
 * @throws LabError `ERR_LAB_CLIENTS` when a session fails before anything has happened,
 *   `ERR_LAB_ROUTE` when the route does not go where it is sent.
 */
export async function runScenario(lab: Lab, options: RunOptions): Promise<LabResult> {
  const { observer, signal, scenario, healing } = options;
  const { pops, clients } = lab.topology;
  const ledger = new Ledger();
  const endings = new Endings();
  const runs: ClientRun[] = [];
  const mover = new RouteMover(lab, options.flip, signal);
  let beganAtMs = 0;
  const tell = () => {
    const sinceBegin = (atMs: number) => (beganAtMs === 0 ? 0 : atMs - beganAtMs);
    for (const { atMs, text } of endings.news(ledger.sessions)) {
      observer.event(sinceBegin(atMs), text);
    }
    observer.tick({
      elapsedMs: sinceBegin(monotonicMs()),
      durationMs: options.durationMs,
      pops,
      routeTo: mover.current,
      sessions: ledger.sessions,
    });
  };
  let ticker: NodeJS.Timeout | undefined;
  try {
    await mover.restore();
    await Promise.all(pops.map((pop) => healing.start(lab, pop)));
    const measured = [...clients, ...pops].map((node) => node.name);
    const before = await readTcp(lab, measured);

    observer.step('starting the clients');
    ticker = setInterval(tell, TICK_MS);
    await startClients(lab, options, ledger, runs);
    beganAtMs = monotonicMs();
    observer.event(0, `all ${ledger.sessions.length} sessions run`);

    const flips: FlipRecord[] = [];
    for (const { atMs, action } of timeline(scenario, options.durationMs)) {
      await sleep(Math.max(0, beganAtMs + atMs - monotonicMs()), undefined, { signal });
      const from = mover.current;
      const to = action.to === 'best' ? pops[0]! : pops[(from.rank + 1) % pops.length]!;
      const flippedAtMs = monotonicMs() - beganAtMs;
      observer.event(flippedAtMs, mover.describe(to));
      const convergenceMs = await mover.moveTo(to);
      flips.push({ atMs: round(flippedAtMs), from: from.name, to: to.name, convergenceMs });
      observer.event(flippedAtMs + convergenceMs, `the route points to ${to.name}`);
    }

    await waitForEnds(ledger, beganAtMs, options);
    await mover.requireStill();
    tell();
    const after = await readTcp(lab, measured);
    const healed = await Promise.all(pops.map((pop) => healing.counters(lab, pop)));
    return result(lab, options, { beganAtMs, flips, ledger, before, after, healed });
  } catch (error) {
    // An aborted sleep throws its own error; the reason says why.
    if (signal?.aborted) throw signal.reason;
    throw error;
  } finally {
    clearInterval(ticker);
    for (const run of runs) run.stop();
    await Promise.all(runs.map((run) => run.finished));
    mover.close();
    await Promise.all(pops.map((pop) => healing.stop(lab, pop)));
  }
}

const round = (ms: number) => Math.round(ms * 1_000) / 1_000;

async function startClients(
  lab: Lab,
  options: RunOptions,
  ledger: Ledger,
  runs: ClientRun[],
): Promise<void> {
  const [client] = lab.topology.clients;
  if (client === undefined) throw new LabError('the lab has no clients', 'ERR_LAB_CLIENTS');
  const directory = join(lab.directory(client.name), 'content');
  await mkdir(directory, { recursive: true });
  for (const kind of SESSION_KINDS) {
    const sessions = options.clients[kind];
    if (sessions === 0) continue;
    const run = await clientDrivers[kind].start(
      {
        namespace: lab.namespace(client.name),
        baseUrl: lab.baseUrl,
        directory,
        contentDirectory: lab.contentDirectory,
        seed: options.seed,
        durationMs: options.durationMs + RAMP_MS,
        stallMs: options.stallMs ?? 10_000,
        transferBytes: options.transferBytes ?? 4_194_304,
        everyMs: options.everyMs ?? 20,
        expect: (names) => ledger.expect(kind, names),
        report: (event) => ledger.accept(event),
      },
      sessions,
    );
    runs.push(run);
  }
  const deadline = monotonicMs() + START_TIMEOUT_MS;
  while (!ledger.allUnderWay) {
    if (monotonicMs() > deadline) break;
    await sleep(20, undefined, { signal: options.signal });
  }
  const failed = ledger.sessions.filter((s) => s.startedAtMs === undefined || s.end !== undefined);
  if (failed.length === 0) return;
  const [example] = failed;
  throw new LabError(
    `${failed.length} of ${ledger.sessions.length} sessions failed before anything happened, such as ${example?.name}: ${example?.end?.detail ?? `not begun within ${START_TIMEOUT_MS / 1_000} s`}`,
    'ERR_LAB_CLIENTS',
  );
}

/** Every session gets its time, then the stall limit, then a moment for its last words. */
async function waitForEnds(ledger: Ledger, beganAtMs: number, options: RunOptions): Promise<void> {
  const patienceMs = RAMP_MS + (options.stallMs ?? 10_000) + LAST_WORDS_MS;
  const deadline = beganAtMs + options.durationMs + patienceMs;
  while (!ledger.allEnded && monotonicMs() < deadline) {
    await sleep(20, undefined, { signal: options.signal });
  }
  ledger.giveUp(monotonicMs());
}

async function readTcp(lab: Lab, nodes: readonly string[]): Promise<Map<string, TcpCounters>> {
  const counters = await Promise.all(
    nodes.map(async (node) => {
      const argv = insideNamespace(lab.namespace(node), ['cat', '/proc/net/snmp']);
      return [node, parseTcpCounters(await runCommand(argv))] as const;
    }),
  );
  return new Map(counters);
}

async function result(
  lab: Lab,
  options: RunOptions,
  measured: {
    beganAtMs: number;
    flips: readonly FlipRecord[];
    ledger: Ledger;
    before: ReadonlyMap<string, TcpCounters>;
    after: ReadonlyMap<string, TcpCounters>;
    healed: readonly HealingCounters[];
  },
): Promise<LabResult> {
  const { before, after, ledger } = measured;
  const tcp = [...after].map(([node, counters]) => {
    const base = before.get(node) ?? { retransmits: 0, resetsSent: 0 };
    return [node, countedBetween(base, counters)] as const;
  });
  return computeResult({
    scenario: options.scenario.name,
    server: lab.options.server.name,
    healing: options.healing.mode,
    family: lab.options.family,
    seed: options.seed,
    flipMethod: options.flip,
    pops: lab.topology.pops.length,
    durationMs: options.durationMs,
    beganAtMs: measured.beganAtMs,
    flips: measured.flips,
    gapWindowMs: options.gapWindowMs ?? 2_000,
    sessions: ledger.sessions,
    tcp: Object.fromEntries(tcp),
    ...sumCounters(measured.healed),
    versions: await collectVersions(lab.options.server),
  });
}
