import { LabError } from '../errors.ts';
import { caddy } from './caddy.ts';
import { haproxy } from './haproxy.ts';
import { holdfast } from './holdfast.ts';
import { nginx } from './nginx.ts';
import { postgres } from './postgres.ts';
import type { ServerDriver } from './server.ts';
import { sshd } from './sshd.ts';

/** Every server that `--server` can name; the first is the default. */
export const servers: readonly ServerDriver[] = [holdfast, nginx, haproxy, caddy, postgres, sshd];

/** @throws LabError `ERR_LAB_USAGE` for an unknown name. */
export function serverNamed(name: string): ServerDriver {
  const found = servers.find((server) => server.name === name);
  if (found !== undefined) return found;
  const known = servers.map((server) => server.name).join(', ');
  throw new LabError(`no server "${name}"; there are: ${known}`, 'ERR_LAB_USAGE');
}
