/** Starts the origin: nginx with files, and the application of ours. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitForAnswer } from '../answers.ts';
import { Daemon } from '../daemons.ts';
import type { Lab } from '../lab.ts';
import { scriptPath } from '../scripts.ts';
import { nginxArgv } from '../servers/nginx.ts';
import { hostPort } from '../servers/server.ts';
import type { PopPlan } from '../topology.ts';
import { APP_PORT, FILES_PORT, filesConfig, unwellFile } from './files.ts';

/** Resolves when both answer on the backbone. */
export async function startOrigin(lab: Lab): Promise<void> {
  const { name, address } = lab.origin;
  const directory = lab.directory(name);
  const namespace = lab.namespace(name);
  await mkdir(lab.contentDirectory);
  await writeFile(join(directory, 'nginx.conf'), filesConfig(directory, lab.contentDirectory));
  const daemons = await Promise.all([
    Daemon.start({
      title: `nginx on ${name}`,
      namespace,
      argv: nginxArgv(directory),
      logFile: join(directory, 'nginx.log'),
    }),
    Daemon.start({
      title: `the application on ${name}`,
      namespace,
      argv: [process.execPath, scriptPath('./origin/app.ts'), String(APP_PORT), '::', directory],
      logFile: join(directory, 'app.log'),
    }),
  ]);
  for (const port of [FILES_PORT, APP_PORT]) {
    const url = `http://${hostPort(address[lab.options.family], port)}/health`;
    const complaint = `${name} does not answer on port ${port}`;
    await waitForAnswer(namespace, url, { complaint, daemons, signal: lab.options.signal });
  }
}

/** From now on health checks of this PoP find the origin well or not. It serves all the same. */
export async function setOriginHealth(lab: Lab, pop: PopPlan, isWell: boolean): Promise<void> {
  const directory = lab.directory(lab.origin.name);
  for (const family of [4, 6] as const) {
    const file = unwellFile(directory, pop.underlayAddress[family]);
    if (isWell) await rm(file, { force: true });
    else await writeFile(file, '');
  }
}
