/** The file in which a node keeps cluster keys that came over the wire. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { access, type FileHandle, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HoldfastError } from '../errors.ts';
import { parseRing, ringText, type StoredRing } from './keyring-state.ts';

const FILE_BYTES_MAX = 65_536;
/** Nobody but the owner. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const OTHERS = 0o077;

/** The file is there and must not, or cannot, be used. `ERR_KEYRING_FILE`. Nothing was changed. */
export class KeyringFileError extends HoldfastError {
  constructor(path: string, reason: string, cause?: unknown) {
    super(`the keyring ${path} ${reason}`, {
      code: 'ERR_KEYRING_FILE',
      source: 'usage',
      retryable: false,
      cause,
    });
  }
}

export class KeyringFile {
  readonly path: string;
  readonly #label: string;
  #next: StoredRing | undefined;
  #writing: Promise<void> | undefined;
  #state: 'empty' | 'storing' | 'stored' | 'failed' = 'empty';
  #error: string | null = null;

  /**
   * @param path Absolute. Its directory is made when something is to be stored.
   * @param label Name of the cluster.
   */
  constructor(path: string, label: string) {
    this.path = path;
    this.#label = label;
  }

  /** `stored`: the file holds what was last given to {@link save}, or was read. */
  get state(): 'empty' | 'storing' | 'stored' | 'failed' {
    return this.#state;
  }

  /** Why the last attempt to store failed. */
  get error(): string | null {
    return this.#error;
  }

  /**
   * What is stored; `undefined` when there is no file. Waits for the disk: only for the start.
   * @throws KeyringFileError when others may read it, it cannot be read or understood, or it is of
   * another cluster.
   */
  read(): StoredRing | undefined {
    let text: string;
    try {
      const file = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const facts = fstatSync(file);
        const isFile = facts.isFile() && facts.size <= FILE_BYTES_MAX;
        if (!isFile) throw this.#refusal('is not a file of a keyring: set mesh.keyring to another');
        if ((facts.mode & OTHERS) !== 0) {
          throw this.#refusal(
            `can be read by others (mode ${(facts.mode & 0o777).toString(8)}): chmod 600 it, and rotate the keys if somebody may have seen them`,
          );
        }
        text = readFileSync(file, 'utf8');
      } finally {
        closeSync(file);
      }
    } catch (error) {
      if (error instanceof KeyringFileError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      throw this.#refusal(
        `cannot be read (${code}): let it belong to the user that runs this node`,
        error,
      );
    }
    const ring = parseRing(text);
    if (ring === undefined) {
      throw this.#refusal(
        'is damaged: restore it, or remove it to start with the keys of the configuration',
      );
    }
    if (ring.label !== this.#label) {
      throw this.#refusal(
        `is of the mesh "${ring.label}", not "${this.#label}": set mesh.keyring to another file`,
      );
    }
    this.#state = 'stored';
    return ring;
  }

  /** Stores a ring soon: whole or not at all, also through a crash of the machine. Never throws. */
  save(ring: StoredRing): void {
    this.#next = ring;
    this.#state = 'storing';
    this.#writing ??= this.#write();
  }

  /** Resolves when everything given to {@link save} is on the disk, or failed; see {@link error}. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  /** Why keys could not be stored here; `undefined` when they can. */
  async obstacle(): Promise<string | undefined> {
    for (let directory = dirname(this.path); ; directory = dirname(directory)) {
      try {
        await access(directory, constants.W_OK | constants.X_OK);
        return undefined;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'ENOENT' || directory === dirname(directory)) {
          return `${directory} cannot be written to (${code})`;
        }
      }
    }
  }

  async #write(): Promise<void> {
    while (this.#next !== undefined) {
      const ring = this.#next;
      this.#next = undefined;
      try {
        await replaceFile(this.path, ringText(ring));
        this.#error = null;
      } catch (error) {
        this.#error = (error as Error).message;
      }
    }
    this.#state = this.#error === null ? 'stored' : 'failed';
    this.#writing = undefined;
  }

  #refusal(reason: string, cause?: unknown): KeyringFileError {
    return new KeyringFileError(this.path, reason, cause);
  }
}

/** A new file takes the old one's place: a reader finds one or the other, never half of one. */
async function replaceFile(path: string, text: string): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  const draft = `${path}.new`;
  // Of a process that crashed, with whatever mode.
  await unlink(draft).catch(() => undefined);
  await written(await open(draft, 'wx', FILE_MODE), text);
  await rename(draft, path);
  await written(await open(directory, constants.O_RDONLY | constants.O_DIRECTORY));
}

async function written(file: FileHandle, text?: string): Promise<void> {
  try {
    if (text !== undefined) await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
