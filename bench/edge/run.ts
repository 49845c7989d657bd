/** Runs the edge benchmark. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CpuShares, shareCpus } from '../measure/cpu-list.ts';
import { BenchError } from '../measure/errors.ts';
import { allowedCpus, describeMachine, programPath, requireProgram } from '../measure/machine.ts';
import { BenchProcesses } from '../measure/processes.ts';
import type { Progress } from '../measure/progress.ts';
import { type Sample, type ScenarioResult, summarize } from '../measure/report.ts';
import { orderOfRound } from '../measure/rounds.ts';
import type { EdgeReport } from './report.ts';
import type { BenchSize, Scenario } from './scenarios/scenario.ts';
import type { Contender } from './site.ts';
import { type RunningContender, Stage } from './stage.ts';

export interface EdgeBenchOptions {
  readonly scenarios: readonly Scenario[];
  readonly contenders: readonly Contender[];
  readonly size: BenchSize;
  readonly progress: Progress;
  /** Stops everything; the run then ends with the signal's reason. */
  readonly signal: AbortSignal;
}

/** How often `progress.done` is called in a run. */
export function stepsOf(options: Pick<EdgeBenchOptions, 'scenarios' | 'contenders' | 'size'>) {
  let steps = 0;
  for (const scenario of options.scenarios) {
    const takePart = options.contenders.filter((c) => absence(c, scenario) === undefined).length;
    const { rounds, freshRounds } = options.size;
    steps += takePart * (scenario.fresh ? freshRounds : rounds + 1);
  }
  return steps;
}

/**
 * Measures every contender in every scenario. Everything it starts is stopped and every file it
 * writes is removed, also after a failure and when `signal` aborts.
 * @throws BenchError when a program is missing, a contender does not start or dies, or the load
 *   fails.
 */
export async function runEdgeBench(options: EdgeBenchOptions): Promise<EdgeReport> {
  const { signal } = options;
  requirePrograms(options.scenarios);
  const allowed = allowedCpus();
  const cpus = programPath('taskset') === undefined ? undefined : shareCpus(allowed);
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  const processes = new BenchProcesses();
  const onAbort = () => void processes.close();
  signal.addEventListener('abort', onAbort, { once: true });
  const results: ScenarioResult[] = [];
  try {
    for (const scenario of options.scenarios) {
      signal.throwIfAborted();
      const folder = join(directory, scenario.name);
      await mkdir(folder);
      results.push(await runScenario(scenario, { ...options, processes, cpus, folder }));
      await rm(folder, { recursive: true, force: true });
    }
  } catch (error) {
    // Whatever failed because everything was being stopped is not the reason.
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    await processes.close();
    await rm(directory, { recursive: true, force: true });
  }
  return {
    bench: 'edge',
    takenAt: new Date().toISOString(),
    machine: describeMachine(),
    method: methodOf(options, cpus),
    contenders: options.contenders
      .filter((contender) => contender.missing() === undefined)
      .map((contender) => ({
        name: contender.name,
        version: contender.version(),
        accessLog: contender.accessLog,
      })),
    scenarios: results,
  };
}

function requirePrograms(scenarios: readonly Scenario[]): void {
  if (scenarios.some((scenario) => !scenario.tunnels)) {
    requireProgram('wrk', 'wrk');
    requireProgram('nginx', 'nginx-light');
  }
}

function absence(contender: Contender, scenario: Scenario): string | undefined {
  if (scenario.tunnels && !contender.tunnels) return 'carries no WebSockets';
  return contender.missing();
}

interface ScenarioPlan extends EdgeBenchOptions {
  readonly processes: BenchProcesses;
  readonly cpus: CpuShares | undefined;
  readonly folder: string;
}

async function runScenario(scenario: Scenario, plan: ScenarioPlan): Promise<ScenarioResult> {
  const { size, processes, cpus, folder } = plan;
  const stage = new Stage({ processes, directory: folder, cpus, size, scenario });
  const absent: { name: string; reason: string }[] = [];
  const takePart: Contender[] = [];
  for (const contender of plan.contenders) {
    const reason = absence(contender, scenario);
    if (reason === undefined) takePart.push(contender);
    else absent.push({ name: contender.name, reason });
  }
  if (takePart.length === 0) {
    throw new BenchError(`nobody can take part in ${scenario.name}`, 'ERR_BENCH_USAGE');
  }
  const samples = new Map<Contender, Sample[]>(takePart.map((contender) => [contender, []]));
  const origin = await stage.startOrigin();
  const standing = new Map<Contender, RunningContender>();
  try {
    if (!scenario.fresh) await warmUpAll(scenario, stage, takePart, standing, plan.progress);
    const rounds = scenario.fresh ? size.freshRounds : size.rounds;
    for (let round = 0; round < rounds; round += 1) {
      plan.progress.step(`${scenario.name}, round ${round + 1} of ${rounds}`);
      for (const contender of orderOfRound(takePart, round)) {
        const running = standing.get(contender) ?? (await stage.start(contender));
        samples.get(contender)?.push(await measured(scenario, stage, running));
        if (scenario.fresh) await stage.stop(running);
        plan.progress.done();
      }
    }
  } finally {
    await Promise.all([...standing.values()].map((running) => stage.stop(running)));
    await origin.stop();
  }
  const { name, about, unit, bases, targets } = scenario;
  const contenders = takePart.map((c) => ({ name: c.name, samples: samples.get(c) ?? [] }));
  return summarize({ name, about, unit, bases, targets, contenders, absent });
}

/** @throws BenchError that says who failed in what. */
async function measured(
  scenario: Scenario,
  stage: Stage,
  running: RunningContender,
): Promise<Sample> {
  try {
    return await scenario.measure(stage, running);
  } catch (error) {
    const cause = running.process.ended ? running.process.failure() : error;
    if (!(cause instanceof BenchError)) throw cause;
    const text = `${running.contender.name} in ${scenario.name}: ${cause.message}`;
    throw new BenchError(text, 'ERR_BENCH_LOAD', cause);
  }
}

async function warmUpAll(
  scenario: Scenario,
  stage: Stage,
  takePart: readonly Contender[],
  standing: Map<Contender, RunningContender>,
  progress: Progress,
): Promise<void> {
  for (const contender of takePart) {
    progress.step(`${scenario.name}, warming up ${contender.name}`);
    const running = await stage.start(contender);
    standing.set(contender, running);
    await scenario.warmUp(stage, running);
    progress.done();
  }
}

function methodOf(options: EdgeBenchOptions, cpus: CpuShares | undefined): string[] {
  const { scenarios, size } = options;
  const logged = options.contenders.filter((contender) => contender.accessLog);
  const method = [
    `With an access log to a file: ${logged.map(({ name }) => name).join(', ') || 'nobody'}; the others write none.`,
    'Each contender has one worker. CPU is that of its processes alone, from /proc/PID/stat.',
    'Contenders take turns in every round; ratios compare values of one round. Shown: median (quartiles).',
    cpus === undefined
      ? 'All processes share the CPUs.'
      : `Contenders run on CPU ${cpus.measured}, load and origin on CPU ${cpus.load}.`,
  ];
  const idle = scenarios.find((scenario) => scenario.fresh);
  const reachable = idle?.tunnelsMax(size);
  if (idle !== undefined && reachable !== undefined && reachable < size.idleTunnels) {
    method.push(
      `${idle.name}: ${reachable} tunnels instead of ${size.idleTunnels}, for the limit of open files.`,
    );
  }
  return method;
}
