/** `holdfast lab`: anycast on one machine, and what a route change does to real sessions there. */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type ClientMix, SESSION_KINDS } from '../../bench/lab/clients/event.ts';
import { insideNamespace } from '../../bench/lab/daemons.ts';
import { LabError } from '../../bench/lab/errors.ts';
import { type HealingMode, healingNamed } from '../../bench/lab/healing/healing.ts';
import { Interrupted, interruptible } from '../../bench/lab/interruption.ts';
import { Lab } from '../../bench/lab/lab.ts';
import { complaints, type LabResult } from '../../bench/lab/measure/result.ts';
import { livingRunner, type StoredLab, storedLabs } from '../../bench/lab/record.ts';
import { openConsole } from '../../bench/lab/report/console.ts';
import { resultTable } from '../../bench/lab/report/table.ts';
import { LAB_PROGRAMS, requirePrograms, requireRoot } from '../../bench/lab/requirements.ts';
import type { FlipMethod } from '../../bench/lab/route/control.ts';
import { runControl, runScenario } from '../../bench/lab/run.ts';
import { scenarioReference } from '../../bench/lab/scenarios/reference.ts';
import { scenarioNames, scenarioOf, scenarios } from '../../bench/lab/scenarios/registry.ts';
import {
  fewestPops,
  labNeeds,
  programsOf,
  type Scenario,
  shortestDurationMs,
} from '../../bench/lab/scenarios/scenario.ts';
import { scriptPath } from '../../bench/lab/scripts.ts';
import { serverNamed, servers } from '../../bench/lab/servers/registry.ts';
import { removeLab, stopRunner } from '../../bench/lab/teardown.ts';
import { DELAY_MS_MAX, type Family, LOSS_PERCENT_MAX, POPS_MAX } from '../../bench/lab/topology.ts';
import { withLab } from '../../bench/lab/with-lab.ts';
import { ConfigError, formatProblem } from '../config/problem.ts';
import { ExitError, exitCodes } from './exit.ts';

/** A whole number within bounds, for commander. */
function whole(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** A number within bounds, for commander. */
function amount(max: number) {
  return (text: string): number => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isFinite(value) && value >= 0 && value <= max) return value;
    throw new InvalidArgumentError(`It must be a number from 0 to ${max}.`);
  };
}

/** Milliseconds from `8`, `8s`, `500ms` or `2m`. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text);
  const unitMs = { ms: 1, s: 1_000, m: 60_000 }[match?.[2] ?? 's'] ?? 1_000;
  const ms = Math.round(Number(match?.[1]) * unitMs);
  if (Number.isFinite(ms) && ms > 0 && ms <= 3_600_000) return ms;
  throw new InvalidArgumentError('It must be a time up to an hour, such as 8s, 500ms or 2m.');
}

export const serverOption = () =>
  new Option('--server <name>', 'server under test on every PoP')
    .choices(servers.map((server) => server.name))
    .default(servers[0]!.name);
export const familyOption = () =>
  new Option('--family <version>', 'IP version of clients and origins')
    .choices(['4', '6'])
    .default('4');
export const popsOption = () =>
  new Option('--pops <n>', 'number of PoPs').argParser(whole(2, POPS_MAX)).default(3);
const delayOptions = () => [
  new Option('--delay <ms>', 'added between clients and router, each way').argParser(
    amount(DELAY_MS_MAX),
  ),
  new Option('--loss <percent>', 'lost between clients and router, each way').argParser(
    amount(LOSS_PERCENT_MAX),
  ),
  new Option('--backbone-delay <ms>', 'added between any two PoPs, each way').argParser(
    amount(DELAY_MS_MAX),
  ),
];
const idOption = () => new Option('--id <id>', 'the lab, as "lab list" names it');

/**
 * Runs an action of the lab. Errors get their exit codes: 1 when the lab failed, 2 for a wrong
 * call, 128 + n after signal n.
 */
export async function labAction(work: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await work();
  } catch (error) {
    if (error instanceof Interrupted) throw new ExitError(error.exitCode, error.message);
    if (error instanceof LabError && error.source === 'usage') {
      throw new ExitError(exitCodes.usage, error.message);
    }
    if (error instanceof ConfigError) {
      // The files that these commands read are scenarios.
      const places = error.problems.map(formatProblem).join('\n');
      throw new ExitError(exitCodes.config, `the scenario cannot be used:\n${places}`);
    }
    throw error;
  }
}

interface LabFlags {
  server: string;
  family: string;
  delay?: number;
  loss?: number;
  backboneDelay?: number;
}

interface UpFlags extends LabFlags {
  pops: number;
}

interface RunFlags extends LabFlags {
  pops?: number;
  healing: HealingMode;
  flip?: FlipMethod;
  seed: number;
  duration?: number;
  control?: boolean;
  json?: string;
  downloads?: number;
  uploads?: number;
  websockets?: number;
  sse?: number;
  idle?: number;
  connects?: number;
  reuses?: number;
  keepalives?: number;
}

/** Adds `holdfast lab` and its verbs. */
export function registerLab(program: Command): void {
  const lab = program
    .command('lab')
    .description('real BGP, real clients, network namespaces: watch what a route change does');

  const runCommand = lab
    .command('run')
    .description('build a lab, run a scenario, print the result, remove the lab')
    .argument('<scenario>', `a file of yours, ./my.yaml, or one of: ${scenarioNames().join(', ')}`)
    .addOption(serverOption())
    .addOption(familyOption())
    .option(
      '--pops <n>',
      'number of PoPs (default: 3, or what the scenario needs)',
      whole(2, POPS_MAX),
    )
    .addOption(
      new Option('--healing <mode>', 'sessions healed or not')
        .choices(['on', 'off'])
        .default('off'),
    )
    .addOption(
      new Option(
        '--flip <how>',
        'the route moves by BGP, or at once in the router (default: bgp, where it is fast enough)',
      ).choices(['bgp', 'route']),
    )
    .option('--seed <n>', 'seed of all contents', whole(0, 2 ** 31 - 1), 1)
    .option('--duration <time>', 'length of the run (default: the scenario’s own)', parseDuration)
    .option('--downloads <n>', 'curl downloads', whole(0, 1_000))
    .option('--uploads <n>', 'curl uploads', whole(0, 1_000))
    .option('--websockets <n>', 'WebSocket echo streams', whole(0, 1_000))
    .option('--sse <n>', 'server-sent-event streams', whole(0, 1_000))
    .option('--idle <n>', 'WebSockets that speak once at the end', whole(0, 15_000))
    .option('--keepalives <n>', 'clients that ask over one connection', whole(0, 1_000))
    .option('--connects <n>', 'clients that connect again and again', whole(0, 100))
    .option('--reuses <n>', 'clients that use one source port again and again', whole(0, 1_000))
    .option('--control', 'first run the same sessions undisturbed, to compare with')
    .option('--json <file>', 'also write the result as JSON; - for standard output')
    .action((name: string, flags: RunFlags) => labAction(() => run(name, flags)));
  for (const option of delayOptions()) runCommand.addOption(option);

  const upCommand = lab
    .command('up')
    .description('build a lab and leave it running')
    .addOption(serverOption())
    .addOption(familyOption())
    .addOption(popsOption())
    .action((flags: UpFlags) => labAction(() => up(flags)));
  for (const option of delayOptions()) upCommand.addOption(option);

  lab
    .command('down')
    .description('remove labs: those left behind, or the ones named')
    .addOption(idOption())
    .option('--all', 'also labs that a running command uses')
    .action((flags: { id?: string; all?: boolean }) => labAction(() => down(flags)));

  lab
    .command('shell')
    .description('a shell, or one command, inside a node of a lab')
    .argument('[node]', 'client-1, router, pop-a …', 'client-1')
    .argument('[command...]', 'instead of a shell; write -- before it')
    .addOption(idOption())
    .action((node: string, command: string[], flags: { id?: string }) =>
      labAction(() => shell(node, command, flags.id)),
    );

  lab
    .command('origin')
    .description(
      'the lab’s origin alone, to stand behind a server that "bench flap --target" measures',
    )
    .option('--port <n>', 'where it listens', whole(0, 65_535), 8_081)
    .option('--address <ip>', 'on this address only (default: on all)')
    .action((flags: { port: number; address?: string }) => labAction(() => origin(flags)));

  lab
    .command('scenario-reference')
    .description('print the reference page of scenario files')
    .action(() => {
      process.stdout.write(scenarioReference());
    });

  lab
    .command('list')
    .description('labs on this machine, scenarios, servers')
    .action(() => labAction(list));
}

async function prepare(serverName: string): Promise<void> {
  requireRoot();
  await requirePrograms([...LAB_PROGRAMS, ...serverNamed(serverName).programs]);
}

/** What the user names replaces the scenario's mix one by one; other servers bring their own. */
function clientMix(flags: RunFlags, scenario: Scenario): ClientMix {
  const asked: ClientMix = {
    ...(flags.downloads === undefined ? {} : { download: flags.downloads }),
    ...(flags.uploads === undefined ? {} : { upload: flags.uploads }),
    ...(flags.websockets === undefined ? {} : { websocket: flags.websockets }),
    ...(flags.sse === undefined ? {} : { sse: flags.sse }),
    ...(flags.idle === undefined ? {} : { idle: flags.idle }),
    ...(flags.connects === undefined ? {} : { connect: flags.connects }),
    ...(flags.keepalives === undefined ? {} : { keepalive: flags.keepalives }),
    ...(flags.reuses === undefined ? {} : { reuse: flags.reuses }),
  };
  const server = serverNamed(flags.server);
  if (server.clients !== undefined && Object.keys(asked).length > 0) {
    throw new LabError(
      `${server.name} does not speak HTTP and brings its own clients`,
      'ERR_LAB_USAGE',
    );
  }
  const mix = server.clients ?? { ...scenario.clients, ...asked };
  if (SESSION_KINDS.every((kind) => (mix[kind] ?? 0) === 0)) {
    throw new LabError('there must be at least one session', 'ERR_LAB_USAGE');
  }
  return mix;
}

function flipMethod(scenario: Scenario, asked: FlipMethod | undefined): FlipMethod {
  if (scenario.flip !== undefined && asked !== undefined && asked !== scenario.flip) {
    throw new LabError(`${scenario.name} needs --flip ${scenario.flip}`, 'ERR_LAB_USAGE');
  }
  return asked ?? scenario.flip ?? 'bgp';
}

function popCount(scenario: Scenario, asked: number | undefined): number {
  const pops = asked ?? scenario.pops;
  const fewest = fewestPops(scenario);
  if (pops >= fewest) return pops;
  throw new LabError(`${scenario.name} needs at least --pops ${fewest}`, 'ERR_LAB_USAGE');
}

/** Options of the lab that `run` and `up` share. */
const labOptions = (flags: LabFlags) => ({
  server: serverNamed(flags.server),
  family: Number(flags.family) as Family,
  ...(flags.delay === undefined ? {} : { delayMs: flags.delay }),
  ...(flags.loss === undefined ? {} : { lossPercent: flags.loss }),
  ...(flags.backboneDelay === undefined ? {} : { backboneDelayMs: flags.backboneDelay }),
});

async function run(name: string, flags: RunFlags): Promise<number> {
  const scenario = scenarioOf(name);
  const healing = healingNamed(flags.healing);
  const clients = clientMix(flags, scenario);
  const flip = flipMethod(scenario, flags.flip);
  const pops = popCount(scenario, flags.pops);
  const durationMs = flags.duration ?? scenario.durationMs;
  const shortestMs = shortestDurationMs(scenario);
  if (durationMs < shortestMs) {
    throw new LabError(
      `${scenario.name} needs at least --duration ${shortestMs}ms`,
      'ERR_LAB_USAGE',
    );
  }
  await prepare(flags.server);
  await requirePrograms([...(healing.programs ?? []), ...programsOf(scenario)]);
  const title = `${scenario.name} · healing ${flags.healing} · server ${flags.server} · IPv${flags.family}`;
  const screen = openConsole(title);
  const { seed } = flags;
  const result = await interruptible(async (signal): Promise<LabResult> => {
    const options = {
      ...labNeeds(scenario),
      ...labOptions(flags),
      pops,
      seed,
      progress: screen,
      signal,
    };
    const run = { scenario, healing, flip, seed, durationMs, clients, observer: screen, signal };
    return await withLab(options, async (lab) => {
      if (flags.control !== true) return await runScenario(lab, run);
      screen.begin(`${title} · control`);
      const control = await runControl(lab, run);
      screen.begin(title);
      return await runScenario(lab, { ...run, control });
    });
  }).finally(() => screen.close());
  await publish(result, flags.json);
  const wrong = complaints(result, scenario.expected, scenario.announcementsPerMinuteMax);
  for (const text of wrong) process.stderr.write(`holdfast: ${text}\n`);
  return wrong.length === 0 ? exitCodes.ok : exitCodes.runtime;
}

/** The table for people, JSON for programs; both never share a stream. */
async function publish(result: LabResult, json: string | undefined): Promise<void> {
  const text = `${JSON.stringify(result, null, 2)}\n`;
  const table = `\n${resultTable(result).join('\n')}\n`;
  (json === '-' ? process.stderr : process.stdout).write(table);
  if (json === '-') process.stdout.write(text);
  else if (json !== undefined) await writeFile(json, text);
}

async function up(flags: UpFlags): Promise<number> {
  await prepare(flags.server);
  const screen = openConsole(`lab · server ${flags.server} · IPv${flags.family}`);
  const lab = await interruptible((signal) =>
    Lab.up({ ...labOptions(flags), pops: flags.pops, progress: screen, keep: true, signal }),
  ).finally(() => screen.close());
  const shell = `holdfast lab shell --id ${lab.id}`;
  process.stdout.write(`Lab ${lab.id} is up: ${lab.topology.pops.length} PoPs serve ${lab.vip} port ${lab.port}
${lab.options.server.clients === undefined ? `  ${shell} client-1 -- curl ${lab.baseUrl}/health\n` : ''}  ${shell} router -- ip route get ${lab.vip}
  ${shell} pop-a -- birdc -s ${lab.directory('pop-a')}/bird.ctl disable vip${lab.options.family}
  holdfast lab down --id ${lab.id}
`);
  return exitCodes.ok;
}

async function findLab(id: string | undefined): Promise<StoredLab> {
  const labs = await storedLabs();
  const known = labs.map((lab) => lab.record.id).join(', ') || 'none';
  if (id === undefined) {
    const [only] = labs;
    if (only !== undefined && labs.length === 1) return only;
    const hint = labs.length === 0 ? 'make one with "holdfast lab up"' : 'choose one with --id';
    throw new LabError(`labs on this machine: ${known}; ${hint}`, 'ERR_LAB_USAGE');
  }
  const found = labs.find((lab) => lab.record.id === id);
  if (found !== undefined) return found;
  throw new LabError(`no lab "${id}"; there are: ${known}`, 'ERR_LAB_USAGE');
}

async function down(flags: { id?: string; all?: boolean }): Promise<number> {
  requireRoot();
  await requirePrograms(['ip']);
  const named = flags.id === undefined ? await storedLabs() : [await findLab(flags.id)];
  const evenUsed = flags.all === true || flags.id !== undefined;
  for (const lab of named) {
    const { id } = lab.record;
    const runner = await livingRunner(lab.record);
    if (runner !== undefined) {
      if (!evenUsed) {
        process.stdout.write(
          `lab ${id} is in use by process ${runner}: left alone (--id or --all removes it)\n`,
        );
        continue;
      }
      process.stdout.write(`lab ${id}: stopping process ${runner}\n`);
      await stopRunner(lab);
    }
    const { namespaces, processes } = await removeLab(lab);
    process.stdout.write(`lab ${id} removed: ${namespaces} namespaces, ${processes} processes\n`);
  }
  if (named.length === 0) process.stdout.write('no labs\n');
  return exitCodes.ok;
}

async function shell(node: string, command: string[], id: string | undefined): Promise<number> {
  requireRoot();
  await requirePrograms(['nsenter']);
  const { record } = await findLab(id);
  const namespace = record.namespaces.find((name) => name === `hf${record.id}-${node}`);
  if (namespace === undefined) {
    const nodes = record.namespaces.map((name) => name.slice(`hf${record.id}-`.length)).join(', ');
    throw new LabError(
      `no node "${node}" in lab ${record.id}; there are: ${nodes}`,
      'ERR_LAB_USAGE',
    );
  }
  const interactive = ['bash', '--norc', '-i'];
  const argv = insideNamespace(namespace, command.length === 0 ? interactive : command);
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    stdio: 'inherit',
    env: { ...process.env, PS1: `${record.id} ${node} # ` },
  });
  // Ctrl-C belongs to what runs inside.
  const ignore = () => {};
  process.on('SIGINT', ignore);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.on('error', (error) => {
    reject(new LabError(`cannot run ${program}: ${error.message}`, 'ERR_LAB_COMMAND', error));
  });
  child.on('exit', (code, signal) => {
    resolve(code ?? 128 + (signal === null ? 0 : (constants.signals[signal] ?? 0)));
  });
  return await promise.finally(() => process.removeListener('SIGINT', ignore));
}

/** Runs until Ctrl-C or TERM. */
async function origin(flags: { port: number; address?: string }): Promise<number> {
  const { port, address } = flags;
  const script = scriptPath('./origin/app.ts');
  const argv = [script, String(port), ...(address === undefined ? [] : [address])];
  const child = spawn(process.execPath, argv, { stdio: 'inherit' });
  const { promise, resolve } = Promise.withResolvers<number>();
  child.on('exit', (code) => resolve(code ?? exitCodes.ok));
  // A terminal's Ctrl-C reaches the child by itself.
  const stop = () => child.kill('SIGTERM');
  process.on('SIGINT', stop).on('SIGTERM', stop);
  return await promise;
}

async function list(): Promise<number> {
  const labs = await storedLabs();
  const out: string[] = ['Labs'];
  if (labs.length === 0) out.push('  none');
  for (const { record, directory } of labs) {
    const runner = await livingRunner(record);
    let state = 'left running by "lab up"';
    if (runner !== undefined) state = `used by process ${runner}`;
    else if (record.runner !== undefined) state = 'left behind; "holdfast lab down" removes it';
    out.push(
      `  ${record.id}  ${record.server}, ${record.pops} PoPs, IPv${record.family}, since ${record.createdAt}`,
      `        ${state}; files in ${directory}`,
    );
  }
  out.push('', 'Scenarios', ...scenarios().map((s) => `  ${s.name.padEnd(21)}${s.about}`));
  out.push('', 'Servers', `  ${servers.map((server) => server.name).join(', ')}`);
  process.stdout.write(`${out.join('\n')}\n`);
  return exitCodes.ok;
}
