/** Starts the server under test on PoPs. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitForAnswer } from '../answers.ts';
import { tryCommand } from '../command.ts';
import { Daemon, insideNamespace, waitUntil } from '../daemons.ts';
import type { Lab } from '../lab.ts';
import { APP_PORT, FILES_PORT } from '../origin/files.ts';
import { type PopPlan, TLS_PORT } from '../topology.ts';
import { hostPort, type ServerSite } from './server.ts';

const READY_TIMEOUT_MS = 20_000;

/** In the order of `pops`. They may not serve yet. */
export function startServers(lab: Lab, pops: readonly PopPlan[]): Promise<Daemon[]> {
  return Promise.all(pops.map((pop) => startServer(lab, pop)));
}

/** Where the server of a PoP runs, and what it must serve. */
export function siteOf(lab: Lab, pop: PopPlan): ServerSite {
  const { family, workers = 1, announcing = 'lab' } = lab.options;
  const origin = lab.origin.address[family];
  const directory = join(lab.directory(pop.name), 'server');
  const sharedDirectory = join(lab.stored.directory, 'servers');
  const { tls } = lab;
  return {
    node: pop.name,
    ...(tls === undefined ? {} : { tls: { ...tls, port: TLS_PORT } }),
    quickHealth: announcing !== 'lab',
    directory,
    listen: ([4, 6] as const).map((f) => ({
      host: lab.topology.vip[f],
      port: lab.port,
      family: f,
    })),
    files: [hostPort(origin, FILES_PORT)],
    app: [hostPort(origin, APP_PORT)],
    workers,
    sharedDirectory,
  };
}

async function startServer(lab: Lab, pop: PopPlan): Promise<Daemon> {
  const { server } = lab.options;
  const site = siteOf(lab, pop);
  const { directory, sharedDirectory } = site;
  for (const made of [directory, sharedDirectory]) await mkdir(made, { recursive: true });
  const { files, argv, environment } = server.plan(site);
  await server.prepare?.(site);
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(directory, name), text);
  }
  return await Daemon.start({
    title: `${server.name} on ${pop.name}`,
    namespace: lab.namespace(pop.name),
    argv,
    logFile: join(directory, 'server.log'),
    ...(environment === undefined ? {} : { environment }),
  });
}

/** A server is ready when the VIP, asked inside its PoP, answers. */
export async function waitForServers(
  lab: Lab,
  pops: readonly PopPlan[],
  daemons: readonly Daemon[],
): Promise<void> {
  const { server, progress } = lab.options;
  let ready = 0;
  await Promise.all(
    pops.map(async (pop, index) => {
      await waitForServer(lab, pop, daemons.slice(index, index + 1));
      ready += 1;
      progress.step(`waiting for ${server.name}: ${ready} of ${pops.length} PoPs serve the VIP`);
    }),
  );
}

async function waitForServer(lab: Lab, pop: PopPlan, daemons: readonly Daemon[]): Promise<void> {
  const { server, signal } = lab.options;
  const namespace = lab.namespace(pop.name);
  const complaint = `${server.name} on ${pop.name} does not serve ${hostPort(lab.vip, lab.port)}`;
  if (server.ready === undefined) {
    const options = { complaint, daemons, signal };
    await waitForAnswer(namespace, `${lab.baseUrl}/health`, options);
    return;
  }
  const inside = insideNamespace(namespace, server.ready(lab.vip, lab.port));
  const timeoutMs = READY_TIMEOUT_MS;
  const ask = async () => (await tryCommand(inside)).code === 0;
  await waitUntil(ask, { complaint, daemons, signal, timeoutMs });
}
