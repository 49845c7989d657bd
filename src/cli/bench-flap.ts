/** `holdfast bench flap`: what happens to sessions when the route moves, for any server. */
import { writeFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { EXTERNAL, runExternal } from '../../bench/flap/external.ts';
import { type FlapPlan, type PlanOptions, planFlap } from '../../bench/flap/plan.ts';
import { SuiteConsole } from '../../bench/flap/progress.ts';
import {
  compare,
  parseResult,
  renderComparison,
  renderCsv,
  renderHtml,
  renderMarkdown,
  renderTable,
} from '../../bench/flap/report/report.ts';
import type { FlapResult } from '../../bench/flap/result.ts';
import { runSuite } from '../../bench/flap/run.ts';
import { SUITE_SERVERS, SUITES, type SuiteName, suiteScenarios } from '../../bench/flap/suites.ts';
import { LabError } from '../../bench/lab/errors.ts';
import { Interrupted, interruptible } from '../../bench/lab/interruption.ts';
import { scenarioNames, scenarioOf } from '../../bench/lab/scenarios/registry.ts';
import { commandServer } from '../../bench/lab/servers/command.ts';
import { serverNamed, servers } from '../../bench/lab/servers/registry.ts';
import type { Family } from '../../bench/lab/topology.ts';
import { BenchError } from '../../bench/measure/errors.ts';
import { FileError, readBoundedFile } from '../config/bounded-file.ts';
import { typedCommand } from './bench-command.ts';
import { checkOutputs } from './bench-output.ts';
import { ExitError, exitCodes } from './exit.ts';
import { labAction } from './lab.ts';
import { requireWritable } from './output-files.ts';

/** A full run with many repetitions has some tens of megabytes. */
const RESULT_BYTES_MAX = 268_435_456;

interface FlapFlags {
  suite?: SuiteName;
  scenario?: readonly string[];
  server?: readonly string[];
  agent?: 'on' | 'off' | 'both';
  family: readonly Family[];
  repetitions?: number;
  seed?: number;
  serverCommand?: string;
  target?: URL;
  onEvent?: string;
  json?: string;
  html?: string;
  csv?: string;
  markdown?: string;
  compare?: string;
}

const words = (text: string, before: readonly string[] = []): string[] => [
  ...before,
  ...text.split(',').map((word) => word.trim()),
];

function whole(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

function families(text: string): Family[] {
  const found = words(text).map(Number);
  if (found.every((one): one is Family => one === 4 || one === 6)) return [...new Set(found)];
  throw new InvalidArgumentError('It must be 4, 6 or 4,6.');
}

function target(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const fits = url !== undefined && /^https?:$/.test(url.protocol);
  if (fits && url.pathname === '/' && url.search === '' && url.username === '') return url;
  throw new InvalidArgumentError('It must be http:// or https:// and a host, without a path.');
}

/** Adds `holdfast bench flap`. */
export function registerBenchFlap(program: Command): void {
  const known = program.commands.find((command) => command.name() === 'bench');
  const bench = known ?? program.command('bench').description('benchmarks');
  const names = servers.map((server) => server.name).join(', ');
  bench
    .command('flap')
    .description(
      'what happens to sessions when the route moves: any server, with and without the agent',
    )
    .addOption(
      new Option(
        '--suite <name>',
        'quick: under 5 minutes; full: every move of the route; maintenance: drains, upgrades, failures',
      )
        .choices([...SUITES])
        .conflicts('scenario'),
    )
    .option(
      '--scenario <names>',
      `instead of a suite: ${scenarioNames().join(', ')}, or files`,
      words,
    )
    .option('--server <names>', `${names} (default: ${SUITE_SERVERS.join(', ')})`, words)
    .option('--server-command <command>', 'any other server: cmd {listen} {app}')
    .addOption(
      new Option(
        '--agent <how>',
        'with the agent (default: both; holdfast only with it); with --target: whether it has one (default: nothing is expected)',
      ).choices(['on', 'off', 'both']),
    )
    .option('--family <versions>', 'IP versions: 4, 6 or 4,6', families, [4] as Family[])
    .option('--repetitions <n>', 'how often each run is done', whole(1, 100))
    .option(
      '--seed <n>',
      'all contents follow from it (default: the scenario’s)',
      whole(0, 2 ** 31 - 1),
    )
    .option('--target <url>', 'a server outside the lab: clients and measurement only', target)
    .option(
      '--on-event <command>',
      'with --target: run for each event, which it finds in HOLDFAST_EVENT',
    )
    .option('--json <file>', 'write the result as JSON; - for standard output')
    .option('--html <file>', 'write a report to look at')
    .option('--csv <file>', 'write every run as a line of CSV')
    .option('--markdown <file>', 'write the tables as Markdown')
    .option('--compare <file>', 'compare with the JSON of an earlier run')
    .action((flags: FlapFlags) => labAction(() => flap(flags)));
}

async function flap(flags: FlapFlags): Promise<number> {
  checkOutputs(flags);
  requireWritable({ '--csv': flags.csv });
  const plan = planOf(flags);
  const { target, onEvent, serverCommand } = flags;
  const before = flags.compare === undefined ? undefined : readResult(flags.compare);
  if (before !== undefined) requireSameSessions(before, plan, suiteName(flags));
  if (target !== undefined && onEvent === undefined) {
    process.stderr.write('bench: without --on-event nothing is done when an event is due\n');
  }
  const progress = new SuiteConsole();
  let stopped: Interrupted | undefined;
  const result = await interruptible(async (signal) => {
    const options = {
      suite: suiteName(flags),
      command: typedCommand(),
      seed: flags.seed ?? plan.cells[0]?.seed ?? 1,
      serverCommand,
      progress,
      signal,
    };
    const done =
      target === undefined
        ? await runSuite(plan, options)
        : await runExternal(plan, { ...options, target, onEvent });
    // What was measured until the signal came is worth keeping.
    if (signal.aborted && signal.reason instanceof Interrupted) stopped = signal.reason;
    return done;
  });
  await publish(result, flags);
  const regressed = before !== undefined && hasRegressed(before, result, flags);
  if (stopped !== undefined) {
    const kept = `${result.cells.length} of ${result.plannedCells} runs were measured and kept`;
    throw new ExitError(stopped.exitCode, `${stopped.message}: ${kept}`);
  }
  const wrong = result.failures.length > 0 || result.rows.some((row) => row.complaints.length > 0);
  return wrong || regressed ? exitCodes.runtime : exitCodes.ok;
}

/** @throws LabError `ERR_LAB_USAGE` when the file cannot be read or is no result. */
function readResult(file: string): FlapResult {
  try {
    return parseResult(readBoundedFile(file, RESULT_BYTES_MAX), file);
  } catch (error) {
    if (error instanceof FileError) {
      throw new LabError(`--compare: ${file} ${error.message}`, 'ERR_LAB_USAGE', error);
    }
    if (!(error instanceof BenchError)) throw error;
    throw new LabError(`--compare: ${error.message}`, 'ERR_LAB_USAGE', error);
  }
}

/** Said before the run and not after it. */
function requireSameSessions(before: FlapResult, plan: FlapPlan, suite: string): void {
  const refuse = (why: string): never => {
    throw new LabError(`--compare: ${why}`, 'ERR_LAB_USAGE');
  };
  const seed = plan.cells[0]?.seed;
  if (before.suite !== suite || before.seed !== seed) {
    refuse(
      `the old run is of the suite "${before.suite}" with --seed ${before.seed}, this one would be "${suite}" with ${seed}`,
    );
  }
  const families = (cells: readonly { readonly family: Family }[]) =>
    [...new Set(cells.map(({ family }) => family))].sort().join(',');
  const [old, planned] = [families(before.rows), families(plan.cells)];
  if (old !== planned) refuse(`the old run has --family ${old}, this one would have ${planned}`);
  const known = new Set(before.rows.map((row) => JSON.stringify([row.scenario, row.contender])));
  const both = plan.cells.some(({ scenario, contender }) =>
    known.has(JSON.stringify([scenario.name, contender.name])),
  );
  if (!both) refuse('the old run has none of these scenarios with these servers');
}

/** Prints what has changed. @returns Whether anything has become worse. */
function hasRegressed(before: FlapResult, now: FlapResult, { json }: FlapFlags): boolean {
  const comparison = compare(before, now);
  const text = `\n${renderComparison(comparison).join('\n')}\n`;
  (json === '-' ? process.stderr : process.stdout).write(text);
  return comparison.regressions.length > 0;
}

/** The table for people, JSON for programs; both never share a stream. */
async function publish(result: FlapResult, flags: FlapFlags): Promise<void> {
  const { json, html, csv, markdown } = flags;
  const text = `${JSON.stringify(result)}\n`;
  const table = `\n${renderTable(result).join('\n')}\n`;
  (json === '-' ? process.stderr : process.stdout).write(table);
  if (json === '-') process.stdout.write(text);
  else if (json !== undefined) await writeFile(json, text);
  if (html !== undefined) await writeFile(html, renderHtml(result));
  if (csv !== undefined) await writeFile(csv, renderCsv(result));
  if (markdown !== undefined) await writeFile(markdown, renderMarkdown(result));
}

const suiteName = ({ suite, scenario, target }: FlapFlags): string => {
  if (target !== undefined) return EXTERNAL;
  return scenario === undefined ? (suite ?? 'quick') : 'custom';
};

function planOf(flags: FlapFlags): FlapPlan {
  const { suite, scenario, agent, repetitions, seed, family } = flags;
  if (flags.target === undefined && flags.onEvent !== undefined) {
    throw new LabError(
      '--on-event needs --target: in the lab the lab moves the route',
      'ERR_LAB_USAGE',
    );
  }
  const scenarios =
    scenario === undefined ? suiteScenarios(suite ?? 'quick') : scenario.map(scenarioOf);
  const twice = scenarios.find(
    ({ name }, index) => scenarios.findIndex((s) => s.name === name) < index,
  );
  if (twice !== undefined) {
    throw new LabError(`two scenarios are named "${twice.name}"`, 'ERR_LAB_USAGE');
  }
  const options: PlanOptions = {
    scenarios,
    servers: serversOf(flags),
    agent,
    repetitions,
    seed,
    families: family,
  };
  if (flags.target === undefined) return planFlap(options);
  // Nothing of the lab is there: neither its servers nor its agents, and one address family. Who does
  // not say whether the target heals is promised nothing.
  const promised = agent === 'on' || agent === 'off';
  const nothing = { on: 'any', off: 'any' } as const;
  const anywhere = scenarios.map((one) => ({
    ...one,
    servers: [],
    expected: promised ? one.expected : nothing,
  }));
  const [first = 4] = family;
  return planFlap({
    ...options,
    scenarios: anywhere,
    agent: agent === 'on' ? 'on' : 'off',
    families: [first],
  });
}

function serversOf({ server, serverCommand, target }: FlapFlags): string[] {
  if (target !== undefined) {
    if (server === undefined && serverCommand === undefined) return [EXTERNAL];
    throw new LabError('--target is the server: leave out --server', 'ERR_LAB_USAGE');
  }
  const named = [...new Set(server ?? (serverCommand === undefined ? SUITE_SERVERS : []))];
  for (const name of named) serverNamed(name);
  if (serverCommand === undefined) return named;
  // Says at once what is wrong with it.
  commandServer(serverCommand, 4);
  return [...named, 'command'];
}
