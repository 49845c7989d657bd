import { createHash } from 'node:crypto';
import { writeContents } from '../origin/files.ts';
import type { ClientDriver } from './client.ts';
import { transferRate } from './curl.ts';
import { startTransfers } from './transfer.ts';

/** curl downloads; the bytes are hashed as they arrive. */
export const downloads: ClientDriver = {
  kind: 'download',
  async start(context, sessions) {
    const { contentDirectory, transferBytes, seed } = context;
    const directory = contentDirectory ?? context.directory;
    const contents = await writeContents(directory, 'download', sessions, transferBytes, seed);
    const bytesPerS = transferRate(transferBytes, context.durationMs);
    return startTransfers(context, 'download', sessions, contents, (_session, content) => {
      const hash = createHash('sha256');
      let bytes = 0;
      return {
        path:
          contentDirectory === undefined
            ? `/bytes?${new URLSearchParams({ name: content.name, seed: String(seed), bytes: String(content.bytes), rate: String(bytesPerS) })}`
            : `/files/${content.name}?rate=${bytesPerS}`,
        extra: ['--silent'],
        output: (chunk) => {
          hash.update(chunk);
          bytes += chunk.length;
        },
        done: () => bytes,
        sha256: () => hash.digest('hex'),
      };
    });
  },
};
