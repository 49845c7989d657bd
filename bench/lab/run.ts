/** Runs one scenario in a lab and computes its result. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientRun } from './clients/client.ts';
import { type ClientMix, SESSION_KINDS, type SessionKind } from './clients/event.ts';
import { clientDrivers } from './clients/registry.ts';
import { monotonicMs } from './clock.ts';
import { runCommand } from './command.ts';
import { insideNamespace } from './daemons.ts';
import { Endings } from './endings.ts';
import { LabError } from './errors.ts';
import { countersBetween, type HealingCounters, type HealingDriver } from './healing/healing.ts';
import type { Lab } from './lab.ts';
import { Ledger } from './measure/ledger.ts';
import type { ControlRecord } from './measure/record.ts';
import { computeResult, type LabResult } from './measure/result.ts';
import { countedBetween, parseTcpCounters, type TcpCounters } from './measure/tcp-counters.ts';
import type { RunObserver } from './observer.ts';
import type { FlipMethod } from './route/control.ts';
import { controlOf, type Scenario, timeline } from './scenarios/scenario.ts';
import { Stage } from './stage.ts';
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
  /** A session without progress for this long has stalled. Default the scenario's, or 10 000. */
  readonly stallMs?: number;
  /**
   * Sessions live this much longer than the run, so that those begun first do not end too early.
   * Default 1 500.
   */
  readonly rampMs?: number;
  /** How long after a flip its effect on gaps is looked for. Default 2 000. */
  readonly gapWindowMs?: number;
  /** Of a run of the same sessions without the scenario's steps. */
  readonly control?: ControlRecord | undefined;
  readonly observer: RunObserver;
  readonly signal?: AbortSignal | undefined;
}

const RAMP_MS = 1_500;
const START_TIMEOUT_MS = 15_000;
/** More time to begin for each session: thousands cannot begin at once. */
const START_EACH_MS = 5;
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
  const stage = new Stage(lab, options);
  let beganAtMs = 0;
  const tell = () => {
    const sinceBegin = (atMs: number) => (beganAtMs === 0 ? 0 : Math.max(0, atMs - beganAtMs));
    for (const { atMs, text } of endings.news(ledger.sessions)) {
      observer.event(sinceBegin(atMs), text);
    }
    observer.tick({
      elapsedMs: sinceBegin(monotonicMs()),
      durationMs: options.durationMs,
      pops,
      routeTo: stage.routeTo,
      sessions: ledger.sessions,
    });
  };
  let ticker: NodeJS.Timeout | undefined;
  try {
    await stage.clear();
    await Promise.all(pops.map((pop) => healing.start(lab, pop)));
    const measured = [...clients, ...pops].map((node) => node.name);
    const healedBefore = await readHealing(lab, healing);
    const before = await readTcp(lab, measured);
    for (const action of scenario.before ?? []) await stage.perform(action);

    observer.step('starting the clients');
    ticker = setInterval(tell, TICK_MS);
    await startClients(lab, options, ledger, runs);
    beganAtMs = monotonicMs();
    stage.begin(beganAtMs);
    const { sessions } = ledger;
    const running = sessions.filter((session) => session.end === undefined).length;
    const all = running === sessions.length ? 'all' : `${running} of`;
    observer.event(0, `${all} ${sessions.length} sessions run`);

    for (const { atMs, action } of timeline(scenario, options.durationMs)) {
      await sleep(Math.max(0, beganAtMs + atMs - monotonicMs()), undefined, { signal });
      // Nobody is left to whom it could happen.
      if (ledger.allEnded) break;
      await stage.perform(action);
    }
    await letSpeak(ledger, runs, beganAtMs, options);
    await waitForEnds(ledger, beganAtMs, options);
    await stage.finish();
    tell();
    const after = await readTcp(lab, measured);
    const healedAfter = await readHealing(lab, healing);
    const counters = { before, after, healedBefore, healedAfter };
    return await result(lab, options, { beganAtMs, stage, ledger, ...counters });
  } catch (error) {
    // An aborted sleep throws its own error; the reason says why.
    if (signal?.aborted) throw signal.reason;
    throw error;
  } finally {
    clearInterval(ticker);
    for (const run of runs) run.stop();
    await Promise.all(runs.map((run) => run.finished));
    stage.close();
    await Promise.all(pops.map((pop) => healing.stop(lab, pop)));
  }
}

/** Runs the same sessions with nothing happening to them, to know what the machine does by itself. */
export async function runControl(lab: Lab, options: RunOptions): Promise<ControlRecord> {
  const { retransmits, baselineGapMs } = await runScenario(lab, {
    ...options,
    scenario: controlOf(options.scenario),
  });
  return { retransmits, gapMs: baselineGapMs };
}

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
  const start = async (kind: SessionKind) => {
    const sessions = options.clients[kind] ?? 0;
    if (sessions === 0) return;
    const run = await clientDrivers[kind].start(
      {
        namespace: lab.namespace(client.name),
        baseUrl: lab.baseUrl,
        host: lab.vip,
        port: lab.port,
        labDirectory: lab.stored.directory,
        directory,
        contentDirectory: lab.contentDirectory,
        seed: options.seed,
        durationMs: options.durationMs + (options.rampMs ?? RAMP_MS),
        stallMs: stallMs(options),
        transferBytes: options.transferBytes ?? 4_194_304,
        everyMs: options.everyMs ?? 20,
        expect: (names) => ledger.expect(kind, names),
        report: (event) => ledger.accept(event),
      },
      sessions,
    );
    runs.push(run);
  };
  // The silent ones wait as long as it takes; the time of all others runs from their start.
  await start('idle');
  await untilUnderWay(ledger, options);
  for (const kind of SESSION_KINDS) if (kind !== 'idle') await start(kind);
  await untilUnderWay(ledger, options);
  // Under a split, connections may fail from the first packet on: that is a result.
  if (options.scenario.before !== undefined) return;
  const failed = ledger.sessions.filter((s) => s.startedAtMs === undefined || s.end !== undefined);
  if (failed.length === 0) return;
  const [example] = failed;
  throw new LabError(
    `${failed.length} of ${ledger.sessions.length} sessions failed before anything happened, such as ${example?.name}: ${example?.end?.detail ?? 'not begun in time'}`,
    'ERR_LAB_CLIENTS',
  );
}

async function untilUnderWay(ledger: Ledger, options: RunOptions): Promise<void> {
  const timeoutMs = START_TIMEOUT_MS + START_EACH_MS * ledger.sessions.length;
  const deadline = monotonicMs() + timeoutMs;
  while (!ledger.allUnderWay && monotonicMs() < deadline) {
    await sleep(20, undefined, { signal: options.signal });
  }
}

const stallMs = ({ stallMs: asked, scenario }: RunOptions): number =>
  asked ?? scenario.stallMs ?? 10_000;

/** Silent sessions speak in the middle of the quiet end of a run. */
async function letSpeak(
  ledger: Ledger,
  runs: readonly ClientRun[],
  beganAtMs: number,
  options: RunOptions,
): Promise<void> {
  if (ledger.allEnded || runs.every((run) => run.speak === undefined)) return;
  const atMs = beganAtMs + options.durationMs - options.scenario.tailMs / 2;
  await sleep(Math.max(0, atMs - monotonicMs()), undefined, { signal: options.signal });
  options.observer.event(monotonicMs() - beganAtMs, 'the silent sessions are asked to speak');
  for (const run of runs) run.speak?.();
}

/** Every session gets its time, then the stall limit, then a moment for its last words. */
async function waitForEnds(ledger: Ledger, beganAtMs: number, options: RunOptions): Promise<void> {
  const patienceMs = (options.rampMs ?? RAMP_MS) + stallMs(options) + LAST_WORDS_MS;
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

/** In the order of the PoPs. */
function readHealing(lab: Lab, healing: HealingDriver): Promise<HealingCounters[]> {
  return Promise.all(lab.topology.pops.map((pop) => healing.counters(lab, pop)));
}

async function result(
  lab: Lab,
  options: RunOptions,
  measured: {
    beganAtMs: number;
    stage: Stage;
    ledger: Ledger;
    before: ReadonlyMap<string, TcpCounters>;
    after: ReadonlyMap<string, TcpCounters>;
    healedBefore: readonly HealingCounters[];
    healedAfter: readonly HealingCounters[];
  },
): Promise<LabResult> {
  const { before, after, ledger, stage } = measured;
  const tcp = [...after].map(([node, counters]) => {
    const base = before.get(node) ?? { retransmits: 0, resetsSent: 0 };
    return [node, countedBetween(base, counters)] as const;
  });
  const healed = lab.topology.pops.map(({ name }, rank) => {
    const counted = countersBetween(measured.healedBefore[rank]!, measured.healedAfter[rank]!);
    return [name, counted] as const;
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
    delayMs: lab.options.delayMs ?? 0,
    backboneDelayMs: lab.options.backboneDelayMs ?? 0,
    beganAtMs: measured.beganAtMs,
    flips: stage.flips,
    steps: stage.steps,
    crashes: stage.crashes,
    flood: stage.flood,
    control: options.control,
    gapWindowMs: options.gapWindowMs ?? 2_000,
    sessions: ledger.sessions,
    tcp: Object.fromEntries(tcp),
    relayed: Object.fromEntries(healed.map(([name, counted]) => [name, counted.relayedPackets])),
    verdicts: Object.fromEntries(healed.map(([name, counted]) => [name, counted.verdicts])),
    versions: await collectVersions(lab.options.server),
  });
}
