import { readFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import type { ConfigInput } from '../../../src/config/schema.ts';
import { holdfastProgram, packageRoot } from '../package-root.ts';
import { hostPort, type ServerDriver, type ServerSite } from './server.ts';

/** All clients of the lab are one address, all its work is one origin's. */
const CONNECTIONS_MAX = 100_000;

/** Checks that find out within two seconds. */
const QUICK_HEALTH = { path: '/health', intervalMs: 500, rise: 2, fall: 2 };

/** As many workers as the peers have workers or threads. */
export function edgeConfig(site: ServerSite): ConfigInput {
  const limits = { connectionsPerOrigin: CONNECTIONS_MAX };
  const { tls } = site;
  const health = site.quickHealth === true ? QUICK_HEALTH : '/health';
  return {
    node: site.node,
    pop: site.node,
    vips: site.listen.flatMap(({ host, port }) => [
      hostPort(host, port),
      ...(tls === undefined ? [] : [`https://${hostPort(host, tls.port)}`]),
    ]),
    workers: site.workers,
    accessLog: { file: `${site.directory}/access.log` },
    limits: { connectionsPerClient: CONNECTIONS_MAX },
    drain: { deadlineMs: 500, tunnelSpreadMs: 100 },
    sites: {
      '*': {
        ...(tls === undefined ? {} : { tls: { cert: tls.certificateFile, key: tls.keyFile } }),
        // Whoever has no origin leaves, unless nobody would be left.
        whenUnhealthy: 'withdraw',
        routes: {
          '/files/*': { to: [...site.files], health, limits },
          '/*': { to: [...site.app], health, limits },
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
    files: { 'holdfast.yaml': stringify(edgeConfig(site)) },
    argv: [
      process.execPath,
      holdfastProgram(),
      'run',
      '--config',
      `${site.directory}/holdfast.yaml`,
    ],
  }),
};
