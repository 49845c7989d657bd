/** Starts holdfast as a user would, and looks at what it leaves behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../bin/holdfast.js', import.meta.url));
const TIMEOUT_MS = 40_000;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves to the match once standard error holds it; rejects when the program ends before. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
}

export function startHoldfast(...args: string[]): Started {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
  });
  const says = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(stderr);
        if (found !== null) resolve(found);
      };
      child.stderr.on('data', look);
      child.on('close', () => reject(new Error(`it ended without saying ${pattern}:\n${stderr}`)));
      look();
    });
  return { child, ended, says };
}

export const holdfast = (...args: string[]): Promise<Ended> => startHoldfast(...args).ended;

/** Names of the namespaces of this lab that exist now. */
export function namespacesOf(id: string): string[] {
  return readdirSync('/run/netns').filter((name) => name.startsWith(`hf${id}-`));
}
