import { tryCommand } from '../command.ts';
import type { ServerDriver, ServerSite } from './server.ts';

const backend = (name: string, servers: readonly string[]) => `backend ${name}
${servers.map((server, index) => `  server s${index + 1} ${server}\n`).join('')}`;

/** HAProxy in HTTP mode; it streams bodies both ways by itself. */
function config(site: ServerSite): string {
  const bind = site.listen
    .map(({ host, port, family }) => `  bind ipv${family}@${host}:${port} backlog 4096\n`)
    .join('');
  return `global
  maxconn 9500
  nbthread 1
  log stderr format raw local0 warning
defaults
  mode http
  log global
  option dontlognull
  option http-keep-alive
  option forwardfor
  http-reuse safe
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
  timeout http-request 10s
frontend vip
${bind}  use_backend files if { path_beg /files/ }
  default_backend app
${backend('files', site.files)}${backend('app', site.app)}`;
}

/** HAProxy, one thread, without holdfast. */
export const haproxy: ServerDriver = {
  name: 'haproxy',
  programs: ['haproxy'],
  async version() {
    const { stdout } = await tryCommand(['haproxy', '-v']);
    return /HAProxy version (\S+)/.exec(stdout)?.[1]?.replace(/^/, 'haproxy/') ?? 'haproxy';
  },
  plan: (site) => ({
    files: { 'haproxy.cfg': config(site) },
    argv: ['haproxy', '-db', '-f', `${site.directory}/haproxy.cfg`],
  }),
};
