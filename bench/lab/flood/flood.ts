/** A flood as the lab sees it: begun, watched, ended. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { labEnvironment, runCommand, tryCommand } from '../command.ts';
import { insideNamespace } from '../daemons.ts';
import { LabError } from '../errors.ts';
import type { Lab } from '../lab.ts';
import { scriptPath } from '../scripts.ts';
import { NOBODY } from '../topology.ts';
import { type FloodNews, type FloodPlan, parseFloodNews } from './plan.ts';

const STDERR_CHARS_MAX = 2_000;

export interface Flood {
  readonly plan: FloodPlan;
  /** What has been sent so far. */
  readonly news: FloodNews;
  /**
   * Resolves when the last packet has left.
   * @throws LabError `ERR_LAB_COMMAND` when the process could not send.
   */
  readonly finished: Promise<void>;
  stop(): void;
}

/** Answers to nobody have a way to the router, and end there: no error goes back to anyone. */
async function routeNobody(lab: Lab): Promise<void> {
  for (const family of [4, 6] as const) {
    const prefix = NOBODY[family];
    const add = (node: string, words: string[]) =>
      runCommand(['ip', `-${family}`, '-n', lab.namespace(node), 'route', 'replace', ...words]);
    await add('router', ['blackhole', prefix]);
    for (const pop of lab.topology.pops) {
      // A PoP that is down has no way back and needs none.
      await add(pop.name, [prefix, 'via', pop.gateway[family]]).catch(() => {});
    }
  }
}

export async function forgetNobody(lab: Lab): Promise<void> {
  for (const node of ['router', ...lab.topology.pops.map((pop) => pop.name)]) {
    for (const family of [4, 6] as const) {
      const remove = ['route', 'del', NOBODY[family]];
      await tryCommand(['ip', `-${family}`, '-n', lab.namespace(node), ...remove]);
    }
  }
}

/** Starts sending from the first client's namespace. */
export async function startFlood(
  lab: Lab,
  wanted: Pick<FloodPlan, 'segment' | 'packetsPerS' | 'forMs' | 'seed'>,
): Promise<Flood> {
  await routeNobody(lab);
  const [client] = lab.topology.clients;
  if (client === undefined) throw new LabError('the lab has no clients', 'ERR_LAB_CLIENTS');
  const plan: FloodPlan = {
    ...wanted,
    host: lab.vip,
    port: lab.port,
    sources: NOBODY[lab.options.family],
  };
  const script = scriptPath('./flood/flood-process.ts');
  const argv = [process.execPath, script, JSON.stringify(plan)];
  const [program = '', ...args] = insideNamespace(lab.namespace(client.name), argv);
  const child = spawn(program, args, { stdio: 'pipe', env: labEnvironment(), detached: true });
  child.stdin.on('error', () => {});
  let news: FloodNews = { sent: 0, failed: 0 };
  let stderr = '';
  let stopped = false;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_CHARS_MAX);
  });
  createInterface(child.stdout).on('line', (line) => {
    news = parseFloodNews(line) ?? news;
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.on('error', (error) => {
    stderr = error.message;
  });
  child.on('close', (code) => {
    if (code === 0 || stopped) resolve();
    else reject(new LabError(`the flood ended (${code}): ${stderr.trim()}`, 'ERR_LAB_COMMAND'));
  });
  // Whoever waits hears of it; nobody waiting is no crash.
  promise.catch(() => {});
  return {
    plan,
    get news() {
      return news;
    },
    finished: promise,
    stop: () => {
      stopped = true;
      child.kill('SIGKILL');
    },
  };
}
