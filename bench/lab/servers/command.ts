/** Any other server, by the command that a user gives. */
import { LabError } from '../errors.ts';
import type { Family } from '../topology.ts';
import { hostPort, type ServerDriver, type ServerSite } from './server.ts';

/** What a command may name, with what is put in its place. */
export const PLACEHOLDERS: Readonly<Record<string, string>> = {
  address: 'the VIP in the family of the run',
  port: 'its port, 80',
  listen: 'both together, `192.0.2.10:80` or `[2001:db8::10]:80`',
  app: 'the origin of everything but files, `host:port`',
  files: 'the origin of `/files/`, `host:port`',
  directory: 'a directory for this server on this PoP',
};

function valuesOf(site: ServerSite, family: Family): Record<string, string> {
  const listen = site.listen.find((each) => each.family === family) ?? site.listen[0];
  const { host = '', port = 80 } = listen ?? {};
  return {
    address: host,
    port: String(port),
    listen: hostPort(host, port),
    app: site.app[0] ?? '',
    files: site.files[0] ?? '',
    directory: site.directory,
  };
}

/**
 * A server that is started by `sh -c`. It must stay in the foreground, listen on the VIP and speak
 * HTTP: hand requests on to the origin, or serve its paths by itself.
 * @throws LabError `ERR_LAB_USAGE` for a placeholder that does not exist.
 */
export function commandServer(command: string, family: Family): ServerDriver {
  for (const [, name = ''] of command.matchAll(/\{([a-z]+)\}/g)) {
    if (name in PLACEHOLDERS) continue;
    const known = Object.keys(PLACEHOLDERS).map((each) => `{${each}}`);
    throw new LabError(
      `--server-command: {${name}} stands for nothing; there are: ${known.join(', ')}`,
      'ERR_LAB_USAGE',
    );
  }
  return {
    name: 'command',
    programs: ['sh'],
    version: async () => command,
    plan(site) {
      const values = valuesOf(site, family);
      const text = command.replaceAll(/\{([a-z]+)\}/g, (_, name: string) => values[name] ?? '');
      return { files: {}, argv: ['sh', '-c', `exec ${text}`] };
    },
  };
}
