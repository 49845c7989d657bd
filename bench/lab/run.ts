/** Runs one scenario in a lab and computes its result. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from './clock.ts';
import { runCommand } from './command.ts';
import { insideNamespace } from './daemons.ts';
import { LabError } from './errors.ts';
import { sumCosts } from './healing/cost.ts';
import { countersBetween, type HealingCounters, type HealingDriver } from './healing/healing.ts';
import type { Lab } from './lab.ts';
import type { ControlRecord, HealingCost } from './measure/record.ts';
import { computeResult, type LabResult } from './measure/result.ts';
import { countedBetween, parseTcpCounters, type TcpCounters } from './measure/tcp-counters.ts';
import type { FlipMethod } from './route/control.ts';
import { controlOf, timeline } from './scenarios/scenario.ts';
import { Sessions, type SessionsOptions, type Venue } from './sessions.ts';
import { Stage } from './stage.ts';
import { collectVersions } from './versions.ts';

export interface RunOptions extends SessionsOptions {
  readonly healing: HealingDriver;
  readonly flip: FlipMethod;
  /** How long after a flip its effect on gaps is looked for. Default 2 000. */
  readonly gapWindowMs?: number;
  /** Of a run of the same sessions without the scenario's events. */
  readonly control?: ControlRecord | undefined;
  /** The agents stay when the run is over, for the next one in this lab. Default false. */
  readonly keepHealing?: boolean;
}

/** What can be read from a lab at one moment. */
interface Readings {
  readonly tcp: ReadonlyMap<string, TcpCounters>;
  /** In the order of the PoPs. */
  readonly healed: readonly HealingCounters[];
  /** Of the PoPs that tell. */
  readonly costs: readonly HealingCost[];
}

/**
 * Starts the clients, lets the scenario happen, waits until every session has ended.
 * The lab stays up and can run the next one.
 * @throws LabError `ERR_LAB_CLIENTS` when a session fails before anything has happened,
 *   `ERR_LAB_ROUTE` when the route does not go where it is sent.
 */
export async function runScenario(lab: Lab, options: RunOptions): Promise<LabResult> {
  const { signal, scenario, healing } = options;
  const { pops } = lab.topology;
  const stage = new Stage(lab, options);
  const sessions = new Sessions(options, pops, () => stage.routeTo);
  try {
    await stage.clear();
    await stage.startHealing();
    const before = await read(lab, healing);
    for (const action of scenario.before) await stage.perform(action);
    await sessions.begin(await venue(lab));
    const { beganAtMs } = sessions;
    stage.begin(beganAtMs);
    for (const { atMs, action } of timeline(scenario, options.durationMs)) {
      await sleep(Math.max(0, beganAtMs + atMs - monotonicMs()), undefined, { signal });
      // Nobody is left to whom it could happen.
      if (sessions.ledger.allEnded) break;
      await stage.perform(action);
    }
    await sessions.end();
    await stage.finish();
    sessions.tell();
    return await result(lab, options, { stage, sessions, before, after: await read(lab, healing) });
  } catch (error) {
    // An aborted sleep throws its own error; the reason says why.
    if (signal?.aborted) throw signal.reason;
    throw error;
  } finally {
    await sessions.stop();
    stage.close();
    if (options.keepHealing !== true) {
      await Promise.all(pops.map((pop) => healing.stop(lab, pop)));
    }
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

async function venue(lab: Lab): Promise<Venue> {
  const [client] = lab.topology.clients;
  if (client === undefined) throw new LabError('the lab has no clients', 'ERR_LAB_CLIENTS');
  const directory = join(lab.directory(client.name), 'content');
  await mkdir(directory, { recursive: true });
  return {
    namespace: lab.namespace(client.name),
    baseUrl: lab.baseUrl,
    tls: lab.tls,
    host: lab.vip,
    port: lab.port,
    labDirectory: lab.stored.directory,
    directory,
    contentDirectory: lab.contentDirectory,
  };
}

async function read(lab: Lab, healing: HealingDriver): Promise<Readings> {
  const { clients, pops } = lab.topology;
  const tcp = await Promise.all(
    [...clients, ...pops].map(async ({ name }) => {
      const argv = insideNamespace(lab.namespace(name), ['cat', '/proc/net/snmp']);
      return [name, parseTcpCounters(await runCommand(argv))] as const;
    }),
  );
  const costs = pops.map((pop) => healing.cost?.(lab, pop));
  return {
    tcp: new Map(tcp),
    healed: await Promise.all(pops.map((pop) => healing.counters(lab, pop))),
    costs: costs.filter((cost) => cost !== undefined),
  };
}

async function result(
  lab: Lab,
  options: RunOptions,
  measured: { stage: Stage; sessions: Sessions; before: Readings; after: Readings },
): Promise<LabResult> {
  const { before, after, stage, sessions } = measured;
  const { ledger } = sessions;
  const tcp = [...after.tcp].map(([node, counters]) => {
    const base = before.tcp.get(node) ?? { retransmits: 0, resetsSent: 0 };
    return [node, countedBetween(base, counters)] as const;
  });
  const healed = lab.topology.pops.map(({ name }, rank) => {
    const counted = countersBetween(before.healed[rank]!, after.healed[rank]!);
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
    beganAtMs: sessions.beganAtMs,
    flips: stage.flips,
    steps: stage.steps,
    crashes: stage.crashes,
    announcements: stage.announcements,
    flood: stage.flood,
    control: options.control,
    gapWindowMs: options.gapWindowMs ?? 2_000,
    sessions: ledger.sessions,
    activity: ledger.activity,
    tcp: Object.fromEntries(tcp),
    relayed: Object.fromEntries(healed.map(([name, counted]) => [name, counted.relayedPackets])),
    verdicts: Object.fromEntries(healed.map(([name, counted]) => [name, counted.verdicts])),
    healingCost: sumCosts(before.costs, after.costs),
    versions: await collectVersions(lab.options.server),
  });
}
