/**
 * What a lab leaves on disk, so that it can be removed even when the process that made it was
 * killed: one directory per lab with a record of every namespace it creates, written before the
 * first of them exists.
 */
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { LabError } from './errors.ts';
import { startTicks } from './process-table.ts';
import { namespacePattern } from './wiring.ts';

const BASE = '/run/holdfast/lab';
const FALLBACK_PREFIX = 'holdfast-lab-';
const RECORD_FILE = 'lab.json';

const labRecord = z
  .strictObject({
    id: z.string().regex(/^[0-9a-f]{4}$/),
    namespaces: z.array(z.string()).max(64),
    /** The process that uses the lab; absent after `lab up`, which leaves it to the user. */
    runner: z.strictObject({ pid: z.int().positive(), startTicks: z.int().min(0) }).optional(),
    server: z.string(),
    pops: z.int(),
    family: z.literal([4, 6]),
    createdAt: z.iso.datetime(),
  })
  .refine((r) => r.namespaces.every((name) => namespacePattern(r.id).test(name)), {
    message: 'a namespace does not belong to this lab',
  });

export type LabRecord = z.output<typeof labRecord>;

/** A lab on disk. */
export interface StoredLab {
  readonly directory: string;
  readonly record: LabRecord;
}

/** Makes the directory of a new lab under an id that no other lab has. */
export async function createLabDirectory(): Promise<{ id: string; directory: string }> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const id = randomBytes(2).toString('hex');
    const taken = (await storedLabs()).some((lab) => lab.record.id === id);
    if (taken) continue;
    try {
      await mkdir(BASE, { recursive: true, mode: 0o755 });
    } catch {
      return { id, directory: await mkdtemp(join(tmpdir(), `${FALLBACK_PREFIX}${id}-`)) };
    }
    try {
      const directory = join(BASE, id);
      await mkdir(directory, { mode: 0o755 });
      return { id, directory };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  throw new LabError(`no free lab id: remove old labs (${BASE})`, 'ERR_LAB_COMMAND');
}

/** Replaces the record in one step: a reader sees the old one or the new one. */
export async function writeRecord(directory: string, record: LabRecord): Promise<void> {
  const file = join(directory, RECORD_FILE);
  await writeFile(`${file}.new`, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** Every lab whose record can be read. What others may have put there is not believed. */
export async function storedLabs(): Promise<StoredLab[]> {
  const inBase = (await readdir(BASE).catch(() => [])).map((name) => join(BASE, name));
  const inTmp = (await readdir(tmpdir()).catch(() => []))
    .filter((name) => name.startsWith(FALLBACK_PREFIX))
    .map((name) => join(tmpdir(), name));
  const labs: StoredLab[] = [];
  for (const directory of [...inBase, ...inTmp]) {
    const record = await readRecord(directory);
    if (record !== undefined) labs.push({ directory, record });
  }
  return labs.sort((a, b) => a.record.createdAt.localeCompare(b.record.createdAt));
}

async function readRecord(directory: string): Promise<LabRecord | undefined> {
  try {
    const owner = await lstat(directory);
    if (!owner.isDirectory() || owner.uid !== process.getuid?.()) return undefined;
    const parsed = labRecord.safeParse(
      JSON.parse(await readFile(join(directory, RECORD_FILE), 'utf8')),
    );
    return parsed.data;
  } catch {
    return undefined;
  }
}

/** The pid of the process that uses this lab now, or `undefined`. */
export async function livingRunner(record: LabRecord): Promise<number | undefined> {
  if (record.runner === undefined) return undefined;
  const { pid, startTicks: started } = record.runner;
  return (await startTicks(pid)) === started ? pid : undefined;
}

export async function removeLabDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}
