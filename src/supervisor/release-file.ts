/** Which program is the next release. */
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { HoldfastError } from '../errors.ts';

const OTHERS_MAY_WRITE = 0o022;
const STICKY = 0o1000;

/** The file cannot be the next release. `ERR_RELEASE_FILE`. */
export class ReleaseFileError extends HoldfastError {
  constructor(message: string) {
    super(message, { code: 'ERR_RELEASE_FILE', source: 'usage', retryable: false });
  }
}

export interface Release {
  /** `bin/holdfast.js` of the release. */
  readonly file: string;
  readonly version: string;
}

/**
 * Looks at `bin/holdfast.js` of a release.
 *
 * The admin server asks for no password, and what it starts runs with the rights of the node. So the
 * file, and every directory on the way to it, must belong to root or to the node's own user and be
 * writable by nobody else.
 * @param path Absolute, or from the working directory of the node.
 * @throws ReleaseFileError
 */
export function releaseAt(path: string): Release {
  const file = realPathOf(resolve(path));
  if (basename(file) !== 'holdfast.js') {
    throw new ReleaseFileError(`${path} is not a release: name its bin/holdfast.js`);
  }
  for (let place = file; ; place = dirname(place)) {
    checkWriters(place);
    if (place === dirname(place)) break;
  }
  return { file, version: versionOf(file) };
}

/** The release that this process was started from: what is in its place now. */
export function releaseInPlace(): Release {
  const file = process.argv[1] ?? '';
  return { file, version: versionOf(realPathOf(file)) };
}

/**
 * What somebody asks for: `{"file": "…/bin/holdfast.js"}`, or nothing at all.
 * @throws ReleaseFileError
 */
export function releaseFileIn(body: string): string | undefined {
  if (body === '') return undefined;
  try {
    const { file } = JSON.parse(body) as { file?: unknown };
    if (file === undefined || typeof file === 'string') return file;
  } catch {
    // Said below.
  }
  throw new ReleaseFileError('the body is not {"file": "…/bin/holdfast.js"}');
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ReleaseFileError(`${path} cannot be read (${code})`);
  }
}

function checkWriters(place: string): void {
  const { uid, mode } = statSync(place);
  const trusted = uid === 0 || uid === process.getuid?.();
  // In a sticky directory nobody else can replace what is ours.
  const isSafe = (mode & OTHERS_MAY_WRITE) === 0 || (mode & STICKY) !== 0;
  if (trusted && isSafe) return;
  throw new ReleaseFileError(
    `${place} can be changed by others than root and the node's user: correct its owner and mode (chown root, chmod go-w)`,
  );
}

function versionOf(file: string): string {
  const about = join(dirname(file), '..', 'package.json');
  try {
    const { name, version } = JSON.parse(readFileSync(about, 'utf8')) as Record<string, unknown>;
    if (name === 'holdfast' && typeof version === 'string') return version;
  } catch {
    // Said below.
  }
  throw new ReleaseFileError(`${file} is not a release of holdfast: no package.json says so`);
}
