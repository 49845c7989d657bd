/** What an operator said, kept across restarts of the agent. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOLDS, type Hold } from './announcer.ts';

export interface KeptDrain {
  readonly forMs: number;
  readonly convergeMs: number;
  /** Of the machine's own clock since its start. */
  readonly startedS: number;
  readonly done: boolean;
}

export interface AnnounceRecord {
  readonly hold: Hold;
  /** When that was said, ISO 8601; empty for `auto`. */
  readonly holdAt: string;
  /** A drain belongs to one life of the machine: after a reboot it serves again. */
  readonly drain: KeptDrain | null;
}

export const NOTHING_SAID: AnnounceRecord = { hold: 'auto', holdAt: '', drain: null };
const FILE_BYTES_MAX = 4_096;

export class RecordFile {
  readonly path: string;

  /** Several nodes on one machine have several names. */
  constructor(directory: string, node: string) {
    this.path = join(directory, `announce-${node}.json`);
  }

  /** What cannot be read says nothing. */
  read(): AnnounceRecord {
    try {
      return parseRecord(readFileSync(this.path, 'utf8'), machineLife());
    } catch {
      return NOTHING_SAID;
    }
  }

  /** @throws what the file system says. */
  write(record: AnnounceRecord): void {
    mkdirSync(join(this.path, '..'), { recursive: true });
    const text = JSON.stringify({ ...record, machineLife: machineLife() });
    writeFileSync(`${this.path}.new`, `${text}\n`);
    renameSync(`${this.path}.new`, this.path);
  }
}

/** @param life Of the machine now. */
export function parseRecord(text: string, life: string): AnnounceRecord {
  if (text.length > FILE_BYTES_MAX) return NOTHING_SAID;
  const value = JSON.parse(text) as Partial<Record<string, unknown>> | null;
  if (typeof value !== 'object' || value === null) return NOTHING_SAID;
  const hold = HOLDS.find((each) => each === value.hold) ?? 'auto';
  const holdAt = typeof value.holdAt === 'string' ? value.holdAt.slice(0, 40) : '';
  return { hold, holdAt, drain: value.machineLife === life ? drainOf(value.drain) : null };
}

function drainOf(value: unknown): KeptDrain | null {
  if (typeof value !== 'object' || value === null) return null;
  const { forMs, convergeMs, startedS, done } = value as Partial<Record<string, unknown>>;
  const isTime = (each: unknown): each is number => typeof each === 'number' && each >= 0;
  if (!isTime(forMs) || !isTime(convergeMs) || !isTime(startedS)) return null;
  return { forMs, convergeMs, startedS, done: done === true };
}

function machineLife(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
