import { tryCommand } from '../command.ts';
import type { ServerDriver, ServerSite } from './server.ts';

/** Caddy as a reverse proxy that streams both ways; files of its own stay in its own directory. */
function config(site: ServerSite): string {
  const [first] = site.listen;
  const hosts = site.listen.map(({ host }) => (host.includes(':') ? `[${host}]` : host)).join(' ');
  const proxy = (servers: readonly string[]) =>
    `reverse_proxy ${servers.join(' ')} {\n      flush_interval -1\n    }`;
  return `{
  admin off
  auto_https off
  storage file_system ${site.directory}/storage
  log {
    output stderr
    level WARN
  }
}
http://:${first?.port ?? 80} {
  bind ${hosts}
  handle /files/* {
    ${proxy(site.files)}
  }
  handle {
    ${proxy(site.app)}
  }
}
`;
}

/** Caddy without holdfast; it uses as many threads as it finds CPUs. */
export const caddy: ServerDriver = {
  name: 'caddy',
  programs: ['caddy'],
  async version() {
    const { stdout } = await tryCommand(['caddy', 'version']);
    return /v?(\d+\.\d+\S*)/.exec(stdout)?.[1]?.replace(/^/, 'caddy/') ?? 'caddy';
  },
  plan: (site) => ({
    files: { Caddyfile: config(site) },
    argv: ['caddy', 'run', '--config', `${site.directory}/Caddyfile`, '--adapter', 'caddyfile'],
    environment: {
      HOME: site.directory,
      XDG_DATA_HOME: site.directory,
      XDG_CONFIG_HOME: site.directory,
    },
  }),
};
