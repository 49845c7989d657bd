import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { ConfigInput } from '../../../src/config/schema.ts';
import type { BenchSite, Contender } from '../site.ts';

/** The checkout, or the installed package: in both, sources lie two folders below it. */
function packageRoot(): URL {
  const inDist = import.meta.url.endsWith('.js');
  return new URL(inDist ? '../../../../' : '../../../', import.meta.url);
}

/** The command's defaults, but for limits that the load, from one address to one origin, would meet. */
function config(site: BenchSite): ConfigInput {
  const connections = site.tunnels + 300;
  return {
    node: 'bench',
    listen: [`127.0.0.1:${site.port}`],
    workers: 1,
    accessLog: { file: `${site.directory}/access.log` },
    admin: 'off',
    logLevel: 'warn',
    limits: { connectionsPerClient: connections },
    drain: { deadlineMs: 500, tunnelSpreadMs: 0 },
    sites: {
      '*': {
        routes: {
          '/*': {
            to: `127.0.0.1:${site.originPort}`,
            limits: { connectionsPerOrigin: connections },
          },
        },
      },
    },
  };
}

export const holdfast: Contender = {
  name: 'holdfast',
  tunnels: true,
  accessLog: true,
  missing: () => undefined,
  version() {
    const text = readFileSync(new URL('package.json', packageRoot()), 'utf8');
    return (JSON.parse(text) as { version: string }).version;
  },
  launch: (site) => ({
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
