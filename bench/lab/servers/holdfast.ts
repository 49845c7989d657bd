import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { ConfigInput } from '../../../src/config/schema.ts';
import { packageRoot } from '../package-root.ts';
import { hostPort, type ServerDriver, type ServerSite } from './server.ts';

/** All clients of the lab are one address, all its work is one origin's. */
const CONNECTIONS_MAX = 100_000;

/** As many workers as the peers have workers or threads. */
function config(site: ServerSite): ConfigInput {
  const limits = { connectionsPerOrigin: CONNECTIONS_MAX };
  return {
    node: site.node,
    pop: site.node,
    vips: site.listen.map(({ host, port }) => hostPort(host, port)),
    workers: site.workers,
    accessLog: { file: `${site.directory}/access.log` },
    limits: { connectionsPerClient: CONNECTIONS_MAX },
    drain: { deadlineMs: 500, tunnelSpreadMs: 100 },
    sites: {
      '*': {
        routes: {
          '/files/*': { to: [...site.files], health: '/health', limits },
          '/*': { to: [...site.app], health: '/health', limits },
        },
      },
    },
  };
}

/** `holdfast run`, the edge of this checkout. */
export const holdfast: ServerDriver = {
  name: 'holdfast',
  programs: [],
  async version() {
    const text = await readFile(new URL('package.json', packageRoot()), 'utf8');
    const { version } = JSON.parse(text) as { version: string };
    return `holdfast/${version}`;
  },
  plan: (site) => ({
    files: { 'holdfast.yaml': stringify(config(site)) },
    argv: [
      process.execPath,
      fileURLToPath(new URL('bin/holdfast.js', packageRoot())),
      'run',
      '--config',
      `${site.directory}/holdfast.yaml`,
    ],
  }),
};
