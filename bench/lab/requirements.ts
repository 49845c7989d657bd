/** What the lab needs from the machine, said before anything is created. */
import { access, constants } from 'node:fs/promises';
import { delimiter, join, relative } from 'node:path';
import { LabError } from './errors.ts';

/** Programs and the Debian packages that bring them. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nsenter: 'util-linux',
  sysctl: 'procps',
  bird: 'bird2',
  birdc: 'bird2',
  nft: 'nftables',
  nginx: 'nginx-light',
  haproxy: 'haproxy',
  caddy: 'caddy',
  curl: 'curl',
  setpriv: 'util-linux',
  unshare: 'util-linux',
  psql: 'postgresql',
  pg_isready: 'postgresql',
  sshd: 'openssh-server',
  ssh: 'openssh-client',
  exabgp: 'exabgp',
  openssl: 'openssl',
  'ssh-keygen': 'openssh-client',
  'ssh-keyscan': 'openssh-client',
};

/** What every lab runs, whatever the server under test. */
export const LAB_PROGRAMS = [
  'ip',
  'nft',
  'nsenter',
  'sysctl',
  'bird',
  'birdc',
  'nginx',
  'curl',
] as const;

/** System directories that a user's PATH may lack under sudo. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/** Adds the system's directories to PATH, so that `bird` and `nginx` are found. */
export function completePath(): void {
  const parts = (process.env.PATH ?? '').split(delimiter).filter((part) => part !== '');
  const missing = SYSTEM_DIRECTORIES.filter((directory) => !parts.includes(directory));
  process.env.PATH = [...parts, ...missing].join(delimiter);
}

/** What the user typed, so that it can be typed again with sudo before it. */
function typedCommand(): string {
  const { npm_lifecycle_event: script } = process.env;
  if (script !== undefined) return `npm run ${script}`;
  const [, program = 'holdfast', ...args] = process.argv;
  const near = relative('', program);
  return [near.startsWith('..') ? program : near, ...args].join(' ');
}

/** @throws LabError `ERR_LAB_NOT_ROOT`, with the command to type instead. */
export function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new LabError(
    `the lab makes network namespaces, which needs root: sudo ${typedCommand()}`,
    'ERR_LAB_NOT_ROOT',
  );
}

/**
 * @throws LabError `ERR_LAB_PROGRAM_MISSING`, naming every missing program with its package.
 */
export async function requirePrograms(programs: readonly string[]): Promise<void> {
  completePath();
  const missing: string[] = [];
  for (const program of new Set(programs)) {
    if (!(await isInstalled(program))) missing.push(program);
  }
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((program) => PACKAGES[program] ?? program))];
  const named = missing.map((p) => `${p} (Debian package ${PACKAGES[p] ?? p})`).join(', ');
  throw new LabError(
    `missing: ${named}. Run "sudo bash scripts/setup.sh --lab" in a checkout, or "sudo apt-get install ${packages.join(' ')}"`,
    'ERR_LAB_PROGRAM_MISSING',
  );
}

async function isInstalled(program: string): Promise<boolean> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    try {
      await access(join(directory, program), constants.X_OK);
      return true;
    } catch {
      // Not here; look further.
    }
  }
  return false;
}
