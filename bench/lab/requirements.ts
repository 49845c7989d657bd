/** What the lab needs from the machine, said before anything is created. */
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { LabError } from './errors.ts';

/** Programs and the Debian packages that bring them. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nsenter: 'util-linux',
  sysctl: 'procps',
  bird: 'bird2',
  birdc: 'bird2',
  nginx: 'nginx-light',
  haproxy: 'haproxy',
  curl: 'curl',
};

/** What every lab runs, whatever the server under test. */
export const LAB_PROGRAMS = ['ip', 'nsenter', 'sysctl', 'bird', 'birdc', 'nginx', 'curl'] as const;

/** System directories that a user's PATH may lack under sudo. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

/** Adds the system's directories to PATH, so that `bird` and `nginx` are found. */
export function completePath(): void {
  const parts = (process.env.PATH ?? '').split(delimiter).filter((part) => part !== '');
  const missing = SYSTEM_DIRECTORIES.filter((directory) => !parts.includes(directory));
  process.env.PATH = [...parts, ...missing].join(delimiter);
}

/**
 * @param command What the user typed, to be shown with sudo before it.
 * @throws LabError `ERR_LAB_NOT_ROOT`.
 */
export function requireRoot(command: string): void {
  if (process.getuid?.() === 0) return;
  throw new LabError(
    `the lab makes network namespaces, which needs root: sudo ${command}`,
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
