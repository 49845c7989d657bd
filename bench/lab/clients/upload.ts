import { writeContents } from '../origin/files.ts';
import type { ClientDriver } from './client.ts';
import { curlPercent, transferRate } from './curl.ts';
import { startTransfers } from './transfer.ts';

const ANSWER_CHARS_MAX = 20_000;

/** The hash in the origin's answer; empty when it is no such answer. */
export function uploadedSha256(answer: string): string {
  try {
    const value: unknown = JSON.parse(answer);
    if (typeof value !== 'object' || value === null || !('sha256' in value)) return '';
    return typeof value.sha256 === 'string' ? value.sha256 : '';
  } catch {
    return '';
  }
}

/** curl uploads; the origin answers with the hash of what it got. */
export const uploads: ClientDriver = {
  kind: 'upload',
  async start(context, sessions) {
    const { directory, transferBytes, seed } = context;
    const contents = await writeContents(directory, 'upload', sessions, transferBytes, seed);
    const bytesPerS = String(transferRate(transferBytes, context.durationMs));
    return startTransfers(context, 'upload', sessions, contents, (session, content) => {
      let answer = '';
      return {
        path: `/upload/${session}`,
        extra: ['--upload-file', content.path, '--limit-rate', bytesPerS],
        output: (chunk) => {
          answer = (answer + chunk.toString('utf8')).slice(0, ANSWER_CHARS_MAX);
        },
        // curl's progress meter, once a second, is the only sign of an upload's progress.
        done: (stderr) => Math.round((content.bytes * (curlPercent(stderr) ?? 0)) / 100),
        sha256: () => uploadedSha256(answer),
      };
    });
  },
};
