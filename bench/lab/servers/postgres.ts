import { chmod, chown, cp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand, tryCommand } from '../command.ts';
import { LabError } from '../errors.ts';
import type { ServerDriver, ServerSite } from './server.ts';

/** Debian keeps each major version's programs in a directory of its own. */
const VERSIONS = '/usr/lib/postgresql';
/** The server refuses to run as root. */
const USER = 'postgres';
/** Role that clients log in as, without a password: nobody but the lab can reach it. */
export const POSTGRES_ROLE = 'lab';

/** The newest installed version's programs. @throws LabError `ERR_LAB_PROGRAM_MISSING` */
async function programDirectory(): Promise<string> {
  const versions = (await readdir(VERSIONS).catch(() => [])).filter((name) => /^\d+$/.test(name));
  const newest = versions.sort((a, b) => Number(a) - Number(b)).at(-1);
  if (newest !== undefined) return join(VERSIONS, newest, 'bin');
  throw new LabError(
    'missing: the PostgreSQL server (Debian package postgresql). Run "sudo bash scripts/setup.sh --lab" in a checkout, or "sudo apt-get install postgresql"',
    'ERR_LAB_PROGRAM_MISSING',
  );
}

const asUser = (argv: readonly string[]): string[] => [
  'setpriv',
  `--reuid=${USER}`,
  `--regid=${USER}`,
  '--clear-groups',
  '--',
  ...argv,
];

const once = new Map<string, Promise<void>>();

/** Makes the empty database once per lab; each PoP gets a copy. */
function makeTemplate(template: string): Promise<void> {
  const making = once.get(template) ?? initdb(template);
  once.set(template, making);
  return making;
}

async function initdb(template: string): Promise<void> {
  const { stdout } = await tryCommand(['id', '-u', USER]);
  const uid = Number(stdout);
  await runCommand(['install', '-d', '-o', USER, '-m', '700', template]);
  if (!Number.isInteger(uid) || uid === 0) {
    throw new LabError(`there is no user "${USER}" to run PostgreSQL as`, 'ERR_LAB_COMMAND');
  }
  const options = ['--no-sync', '--auth=trust', '--no-locale', '--encoding=UTF8'];
  const argv = [join(await programDirectory(), 'initdb'), '-D', template, '-U', POSTGRES_ROLE];
  await runCommand(asUser([...argv, ...options]));
}

const hba = ['host all all 0.0.0.0/0 trust', 'host all all ::/0 trust', ''].join('\n');

function config(site: ServerSite): string {
  return `listen_addresses = '${site.listen.map(({ host }) => host).join(',')}'
port = ${site.listen[0]?.port}
unix_socket_directories = ''
hba_file = '${site.directory}/pg_hba.conf'
shared_buffers = 8MB
max_connections = 200
fsync = off
autovacuum = off
`;
}

/** PostgreSQL as Debian brings it, with a database of its own in each PoP. */
export const postgres: ServerDriver = {
  name: 'postgres',
  programs: ['setpriv', 'psql', 'pg_isready'],
  port: 5_432,
  clients: { psql: 4 },
  async version() {
    const { stdout } = await tryCommand([join(await programDirectory(), 'postgres'), '--version']);
    return /(\d+(?:\.\d+)*)/.exec(stdout)?.[1]?.replace(/^/, 'postgres/') ?? 'postgres';
  },
  async prepare(site) {
    const template = join(site.sharedDirectory, 'postgres');
    const data = join(site.directory, 'data');
    await makeTemplate(template);
    await rm(data, { recursive: true, force: true });
    await cp(template, data, { recursive: true });
    const { uid, gid } = await stat(template);
    await runCommand(['chown', '-R', `${uid}:${gid}`, data]);
    await chmod(data, 0o700);
    await chown(site.directory, uid, gid);
  },
  plan: (site) => ({
    files: { 'postgresql.conf': config(site), 'pg_hba.conf': hba },
    argv: [
      'sh',
      '-c',
      // The newest version, as prepare() took it; a path with a version cannot be known here.
      `exec ${asUser([]).join(' ')} "$(ls -d ${VERSIONS}/[0-9]*/bin | sort -V | tail -n 1)/postgres" -D "$0/data" -c "config_file=$0/postgresql.conf"`,
      site.directory,
    ],
  }),
  ready: (vip, port) => ['pg_isready', '-q', '-h', vip, '-p', String(port), '-t', '2'],
};
