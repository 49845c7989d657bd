/** Runs short commands without a shell. */
import { spawn } from 'node:child_process';
import { LabError } from './errors.ts';

export interface CommandOptions {
  /** Written to the command's standard input. */
  readonly input?: string;
  /** Default 20 000. The command is killed then. */
  readonly timeoutMs?: number;
}

export interface CommandResult {
  /** Exit code; `null` when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const OUTPUT_CHARS_MAX = 4_000_000;

/** Whom clients outside the lab may trust beside the system's authorities: Node's, and curl's. */
const TRUST = ['NODE_EXTRA_CA_CERTS', 'CURL_CA_BUNDLE'] as const;

/** Environment of everything that runs in the lab: no proxy settings, no locale, no user's files. */
export function labEnvironment(): NodeJS.ProcessEnv {
  const trust = TRUST.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const path = process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin';
  return { PATH: path, LC_ALL: 'C', ...Object.fromEntries(trust) };
}

/**
 * Runs `argv` to its end and returns what it printed, whatever its exit code.
 * @throws LabError `ERR_LAB_COMMAND` when it cannot be started or takes too long.
 */
export function tryCommand(
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const [program = '', ...args] = argv;
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
  const child = spawn(program, args, { stdio: 'pipe', env: labEnvironment() });
  let stdout = '';
  let stderr = '';
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    reject(new LabError(`"${argv.join(' ')}" did not end in time`, 'ERR_LAB_COMMAND'));
  }, options.timeoutMs ?? 20_000);
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (stdout.length < OUTPUT_CHARS_MAX) stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < OUTPUT_CHARS_MAX) stderr += text;
  });
  child.on('error', (error) => {
    clearTimeout(timer);
    reject(new LabError(`cannot run "${program}": ${error.message}`, 'ERR_LAB_COMMAND', error));
  });
  child.on('close', (code) => {
    clearTimeout(timer);
    resolve({ code, stdout, stderr });
  });
  // A command that ends before it has read its input is judged by its exit code.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  return promise;
}

/** As {@link tryCommand}, but any exit code other than 0 is an error that shows what was printed. */
export async function runCommand(
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await tryCommand(argv, options);
  if (code === 0) return stdout;
  const said = (stderr.trim() || stdout.trim()).slice(0, 2_000);
  const input = options.input === undefined ? '' : `\nwith the input:\n${options.input}`;
  throw new LabError(`"${argv.join(' ')}" failed (${code}): ${said}${input}`, 'ERR_LAB_COMMAND');
}
