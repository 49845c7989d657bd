/**
 * A server outside the lab: clients and measurement only. What happens to the route is up to the
 * user, who is told of each event by a command of their own.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { httpFor } from '../lab/clients/http-module.ts';
import { monotonicMs } from '../lab/clock.ts';
import { LabError } from '../lab/errors.ts';
import type { FlipRecord, StepRecord } from '../lab/measure/record.ts';
import { computeResult } from '../lab/measure/result.ts';
import { seededBytes } from '../lab/random-bytes.ts';
import { requirePrograms } from '../lab/requirements.ts';
import { type ScenarioAction, timeline } from '../lab/scenarios/scenario.ts';
import { Sessions } from '../lab/sessions.ts';
import { cellOf } from './cell.ts';
import { failureText } from './failure.ts';
import { type FlapPlan, type PlannedCell, remainingMs } from './plan.ts';
import type { SuiteProgress } from './progress.ts';
import type { FlapCell, FlapResult } from './result.ts';
import { type SuiteOptions, SuiteRecord, summary, titleOf } from './run.ts';

/** Name of the server and the contender of this mode. */
export const EXTERNAL = 'external';

export interface ExternalOptions extends SuiteOptions {
  /** `https://www.example.com`, without a path. */
  readonly target: URL;
  /** Run by `sh -c` for each event. Absent: nothing is done, time passes. */
  readonly onEvent?: string | undefined;
}

const HOOK_MS = 60_000;
const HOOK_CHARS_MAX = 300;
const PROBE_BYTES = 1_024;
const PROBE_MS = 10_000;

/** Runs every cell of a plan whose only server is {@link EXTERNAL}. Needs no root. */
export async function runExternal(plan: FlapPlan, options: ExternalOptions): Promise<FlapResult> {
  const { progress, signal, target } = options;
  await requirePrograms(['curl']);
  checkClients(plan, target);
  await probe(target);
  const record = new SuiteRecord();
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-flap-'));
  try {
    for (const [index, cell] of plan.cells.entries()) {
      if (signal?.aborted) break;
      const left = remainingMs(plan, index, record.elapsedMs);
      progress.begin(titleOf(cell), index + 1, plan.cells.length, left);
      try {
        const measured = await runCell(cell, directory, options);
        record.cells.push(measured);
        progress.done(summary(measured));
      } catch (error) {
        if (signal?.aborted) break;
        const message = failureText(error);
        record.fail(cell, message);
        progress.done(`failed: ${message}`);
      }
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
    progress.close();
  }
  const versions = { node: process.version };
  const contenders = plan.contenders.map((each) => ({ ...each, version: target.origin }));
  return record.result(plan, options, { versions, contenders });
}

/** Kinds that cannot talk to just any address. */
function checkClients(plan: FlapPlan, target: URL): void {
  for (const { name, clients } of plan.scenarios) {
    if ((clients.idle ?? 0) > 0 && target.protocol === 'https:') {
      throw new LabError(
        `${name}: idle sessions speak no TLS; use an http:// target`,
        'ERR_LAB_USAGE',
      );
    }
    if ((clients.psql ?? 0) + (clients.ssh ?? 0) > 0) {
      throw new LabError(`${name}: psql and ssh sessions need the lab`, 'ERR_LAB_USAGE');
    }
  }
}

/** The origin of the lab must answer at the target: sessions are checked byte by byte. */
async function probe(target: URL): Promise<void> {
  const query = new URLSearchParams({ name: 'probe', seed: '1', bytes: String(PROBE_BYTES) });
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const request = httpFor(target.origin).get(`${target.origin}/bytes?${query}`, { agent: false });
  request.setTimeout(PROBE_MS, () => request.destroy(new Error('no answer in time')));
  request.on('error', reject).on('response', (response) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    response.on('error', reject).on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes <= PROBE_BYTES) parts.push(part);
    });
    response.on('end', () => resolve(Buffer.concat(parts)));
  });
  const hash = (data: Buffer) => createHash('sha256').update(data).digest('hex');
  let answer: Buffer;
  try {
    answer = await promise;
  } catch (error) {
    const { message } = error as Error;
    throw new LabError(`${target.origin} does not answer: ${message}`, 'ERR_LAB_CLIENTS', error);
  }
  if (hash(answer) === hash(seededBytes(1, 'probe', PROBE_BYTES))) return;
  throw new LabError(
    `${target.origin} does not serve the lab's origin: start it behind the server with "holdfast lab origin --port 8081" and hand all paths on to it`,
    'ERR_LAB_CLIENTS',
  );
}

async function runCell(
  cell: PlannedCell,
  directory: string,
  options: ExternalOptions,
): Promise<FlapCell> {
  const { target, progress, signal, onEvent } = options;
  const { scenario, seed } = cell;
  const { durationMs } = scenario;
  const flips: FlipRecord[] = [];
  const steps: StepRecord[] = [];
  const sessions = new Sessions({
    scenario,
    seed,
    durationMs,
    clients: scenario.clients,
    observer: stepsOnly(progress),
    signal,
  });
  const since = () => (sessions.beganAtMs === 0 ? 0 : monotonicMs() - sessions.beganAtMs);
  const perform = async (action: ScenarioAction) => {
    const atMs = Math.round(since() * 1_000) / 1_000;
    const said = await tell(onEvent, action, atMs, signal);
    const tookMs = Math.round((since() - atMs) * 1_000) / 1_000;
    const moves = ['flip', 'withdraw', 'announce', 'drain'].includes(action.do);
    if (moves) flips.push({ atMs, from: '', to: placeOf(action), convergenceMs: tookMs });
    steps.push({ atMs, type: action.do, text: said });
    progress.step(`${action.do}: ${said}`);
  };
  try {
    for (const action of scenario.before) await perform(action);
    await sessions.begin({
      namespace: undefined,
      baseUrl: target.origin,
      host: target.hostname.replace(/^\[|\]$/g, ''),
      port: Number(target.port || (target.protocol === 'https:' ? 443 : 80)),
      labDirectory: directory,
      directory,
      contentDirectory: undefined,
    });
    for (const { atMs, action } of timeline(scenario, durationMs)) {
      const waitMs = sessions.beganAtMs + atMs - monotonicMs();
      await sleep(Math.max(0, waitMs), undefined, { signal });
      if (sessions.ledger.allEnded) break;
      await perform(action);
    }
    await sessions.end();
  } finally {
    await sessions.stop();
  }
  const { ledger, beganAtMs } = sessions;
  const measured = computeResult({
    scenario: scenario.name,
    server: EXTERNAL,
    healing: cell.contender.agent ? 'on' : 'off',
    family: cell.family,
    seed,
    flipMethod: 'hook',
    pops: scenario.pops,
    durationMs,
    beganAtMs,
    flips,
    steps,
    gapWindowMs: 2_000,
    sessions: ledger.sessions,
    activity: ledger.activity,
    tcp: {},
    relayed: {},
    verdicts: {},
    versions: {},
  });
  return cellOf(cell, measured, false);
}

const placeOf = (action: ScenarioAction): string => {
  if ('pop' in action) return action.pop ?? '';
  return 'to' in action ? action.to : '';
};

const stepsOnly = (progress: SuiteProgress) => ({
  step: (text: string) => progress.step(text),
  tick: () => {},
  event: (_: number, text: string) => progress.step(text),
});

/**
 * Runs the user's command for an event. It finds the event's name in HOLDFAST_EVENT, all of it as
 * JSON in HOLDFAST_EVENT_JSON, and the time in HOLDFAST_EVENT_AT_MS.
 * @returns The last line that it printed.
 * @throws LabError `ERR_LAB_COMMAND` when it fails or takes longer than a minute.
 */
function tell(
  command: string | undefined,
  action: ScenarioAction,
  atMs: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (command === undefined) return Promise.resolve('no command was given for events');
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  // A process group of its own: what the command has started ends with it.
  const child = spawn('sh', ['-c', command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: {
      ...process.env,
      HOLDFAST_EVENT: action.do,
      HOLDFAST_EVENT_JSON: JSON.stringify(action),
      HOLDFAST_EVENT_AT_MS: String(Math.round(atMs)),
    },
  });
  const kill = (name: 'SIGKILL' | 'SIGTERM') => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, name);
    } catch {
      // It has ended by itself.
    }
  };
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    kill('SIGKILL');
  }, HOOK_MS);
  const stop = () => kill('SIGTERM');
  signal?.addEventListener('abort', stop, { once: true });
  let said = '';
  let complained = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-HOOK_CHARS_MAX);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    process.stderr.write(text);
    complained = (complained + text).slice(-HOOK_CHARS_MAX);
  });
  const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? '';
  const failed = (how: string) => {
    const text = `the command for the event "${action.do}" ${how}\n${lastLine(complained)}`;
    reject(new LabError(text.trimEnd(), 'ERR_LAB_COMMAND'));
  };
  child.on('error', (error) => failed(`cannot be run: ${error.message}`));
  child.on('close', (code, killed) => {
    if (code === 0) resolve(lastLine(said) || 'done');
    else if (late) failed(`took longer than ${HOOK_MS / 1_000} s and was killed`);
    else failed(killed === null ? `ended with code ${code}` : `ended by ${killed}`);
  });
  return promise.finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  });
}
