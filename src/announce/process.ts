/** Runs a program that ends by itself, within a time. */
import { spawn } from 'node:child_process';

const OUTPUT_BYTES_MAX = 1 << 20;

export interface ProgramResult {
  /** `null` when it was killed or could not be started. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** It took too long and was killed, with everything in its process group. */
  readonly timedOut: boolean;
  /** Why it could not be started. */
  readonly error: NodeJS.ErrnoException | undefined;
}

export interface ProgramOptions {
  readonly timeoutMs: number;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Never rejects. Output beyond 1 MiB is dropped. */
export function runProgram(
  argv: readonly string[],
  options: ProgramOptions,
): Promise<ProgramResult> {
  const [program = '', ...args] = argv;
  return new Promise((resolve) => {
    let error: NodeJS.ErrnoException | undefined;
    let timedOut = false;
    // A group of its own, so that whatever a script has started ends with it.
    const child = spawn(program, args, {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
    });
    const output = [child.stdout, child.stderr].map((stream) => {
      const kept = { text: '' };
      stream.setEncoding('utf8');
      stream.on('data', (text: string) => {
        if (kept.text.length < OUTPUT_BYTES_MAX) kept.text += text;
      });
      return kept;
    });
    const timer = setTimeout(() => {
      timedOut = true;
      if (child.pid !== undefined) killGroup(child.pid);
      // Whoever left the group may still hold the pipes.
      child.stdout.destroy();
      child.stderr.destroy();
    }, options.timeoutMs);
    child.on('error', (reason) => {
      error = reason;
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    child.on('close', (code) => {
      clearTimeout(timer);
      const [stdout = { text: '' }, stderr = { text: '' }] = output;
      resolve({ code, stdout: stdout.text, stderr: stderr.text, timedOut, error });
    });
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}
