import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { ConfigInput } from '../../../src/config/schema.ts';
import { hostPort, type ServerDriver, type ServerSite } from './server.ts';

/** The checkout, or the installed package: in both, sources lie two folders below it. */
function packageRoot(): URL {
  const inDist = import.meta.url.endsWith('.js');
  return new URL(inDist ? '../../../../' : '../../../', import.meta.url);
}

/** One worker, as the peers have one worker or thread. */
function config(site: ServerSite): ConfigInput {
  return {
    node: site.node,
    pop: site.node,
    vips: site.listen.map(({ host, port }) => hostPort(host, port)),
    workers: 1,
    accessLog: { file: `${site.directory}/access.log` },
    drain: { deadlineMs: 500, tunnelSpreadMs: 100 },
    sites: {
      '*': {
        routes: {
          '/files/*': { to: [...site.files], health: '/health' },
          '/*': { to: [...site.app], health: '/health' },
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
