/** What downloads and uploads have in common: how curl is called, and what its ending means. */
import type { SessionEnd } from './event.ts';

/** curl's own code for a time limit, which is how it reports a stalled transfer. */
const CURL_TIMED_OUT = 28;

/** A transfer is planned to end this long before its session's time is over. */
const SPARE_MS = 1_000;

/** Bytes per second at which `bytes` take a little less than `durationMs`. */
export function transferRate(bytes: number, durationMs: number): number {
  const forMs = Math.max(1_000, durationMs - SPARE_MS);
  return Math.max(1_024, Math.ceil((bytes * 1_000) / forMs));
}

export interface CurlOptions {
  readonly url: string;
  readonly stallMs: number;
  readonly extra: readonly string[];
}

/** `-q` first, so that no user's curlrc has a say. */
export function curlArgv(options: CurlOptions): string[] {
  return [
    'curl',
    '-q',
    '--http1.1',
    '--globoff',
    '--fail',
    '--show-error',
    '--no-buffer',
    '--connect-timeout',
    '5',
    // A download whose server is gone says nothing by itself; so do browsers, later.
    '--keepalive-time',
    '1',
    '--speed-limit',
    '1',
    '--speed-time',
    String(Math.max(1, Math.ceil(options.stallMs / 1_000))),
    ...options.extra,
    options.url,
  ];
}

/** What curl said on standard error, without its progress meter. */
export function curlComplaint(stderr: string): string {
  const lines = stderr.split(/[\r\n]+/).filter((line) => line.startsWith('curl: '));
  return lines.at(-1) ?? '';
}

/**
 * Percentage in the newest line of curl's progress meter, `undefined` when there is none. The
 * first number of a line is the percentage of the whole.
 */
export function curlPercent(stderr: string): number | undefined {
  const lines = stderr.split(/[\r\n]+/);
  for (const line of lines.reverse()) {
    const match = /^\s*(\d{1,3})\s+\S+\s+\d/.exec(line);
    if (match?.[1] !== undefined) return Math.min(100, Number(match[1]));
  }
  return undefined;
}

/** What curl's exit code and the hash of the bytes say about the session. */
export function curlEnd(
  code: number | null,
  stderr: string,
  hashes: { readonly expected: string; readonly got: string },
): { how: SessionEnd; detail: string } {
  if (code === 0) {
    return hashes.got === hashes.expected
      ? { how: 'complete', detail: 'SHA-256 matches' }
      : { how: 'corrupt', detail: `SHA-256 ${hashes.got || 'missing'}, not ${hashes.expected}` };
  }
  const detail = curlComplaint(stderr) || `curl ended with code ${code}`;
  return { how: code === CURL_TIMED_OUT ? 'stalled' : 'reset', detail };
}
