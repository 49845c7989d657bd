/** Starts the server under test on every PoP. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitForAnswer } from '../answers.ts';
import { Daemon } from '../daemons.ts';
import type { Lab } from '../lab.ts';
import { APP_PORT, FILES_PORT } from '../origin/files.ts';
import { type PopPlan, VIP_PORT } from '../topology.ts';
import { hostPort } from './server.ts';

/** In the order of the topology's PoPs. They may not serve yet. */
export function startServers(lab: Lab): Promise<Daemon[]> {
  return Promise.all(lab.topology.pops.map((pop) => startServer(lab, pop)));
}

async function startServer(lab: Lab, pop: PopPlan): Promise<Daemon> {
  const { server, family } = lab.options;
  const origin = lab.origin.address[family];
  const directory = join(lab.directory(pop.name), 'server');
  await mkdir(directory);
  const { files, argv, environment } = server.plan({
    node: pop.name,
    directory,
    listen: ([4, 6] as const).map((f) => ({
      host: lab.topology.vip[f],
      port: VIP_PORT,
      family: f,
    })),
    files: [hostPort(origin, FILES_PORT)],
    app: [hostPort(origin, APP_PORT)],
  });
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

/** A server is ready when the VIP, asked inside its PoP, brings the origin's answer. */
export async function waitForServers(lab: Lab, daemons: readonly Daemon[]): Promise<void> {
  const { server, progress, signal } = lab.options;
  const url = `${lab.baseUrl}/health`;
  let ready = 0;
  await Promise.all(
    lab.topology.pops.map(async (pop, index) => {
      await waitForAnswer(lab.namespace(pop.name), url, {
        complaint: `${server.name} on ${pop.name} does not serve ${url}`,
        daemons: daemons.slice(index, index + 1),
        signal,
      });
      ready += 1;
      progress.step(`waiting for ${server.name}: ${ready} of ${daemons.length} PoPs serve the VIP`);
    }),
  );
}
