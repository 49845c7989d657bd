import { spawnSync } from 'node:child_process';
import { programPath } from '../../measure/machine.ts';
import type { BenchSite, Contender } from '../site.ts';

/** Its log goes to standard output, one write for each line. */
const config = (site: BenchSite): string => `global
  maxconn ${site.tunnels + 300}
  nbthread 1
  log stdout format raw local0 info
defaults
  mode http
  log global
  option httplog
  option forwardfor
  option http-keep-alive
  http-reuse always
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend clients
  bind ipv4@127.0.0.1:${site.port} backlog 4096
  default_backend origin
backend origin
  server origin 127.0.0.1:${site.originPort}
`;

export const haproxy: Contender = {
  name: 'haproxy',
  tunnels: true,
  accessLog: true,
  missing: () => (programPath('haproxy') === undefined ? 'haproxy is not installed' : undefined),
  version() {
    const { stdout } = spawnSync(programPath('haproxy') ?? 'haproxy', ['-v'], { encoding: 'utf8' });
    return /version (\S+)/.exec(stdout)?.[1] ?? 'unknown';
  },
  launch: (site) => ({
    files: { 'haproxy.cfg': config(site) },
    argv: [programPath('haproxy') ?? 'haproxy', '-db', '-f', `${site.directory}/haproxy.cfg`],
    stdoutFile: `${site.directory}/access.log`,
  }),
};
