/** Reading small files that users name, with a limit and an error text that says what to do. */
import { closeSync, openSync, readSync } from 'node:fs';
import { userInfo } from 'node:os';

/** The message completes "FILE …", for example "does not exist". */
export class FileError extends Error {}

/**
 * The whole content, as UTF-8. Pipes work, too. Throws {@link FileError} when the file is missing,
 * unreadable, not UTF-8 or larger than `bytesMax`.
 */
export function readBoundedFile(path: string, bytesMax: number): string {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw new FileError(reasonOf(error), { cause: error });
  }
  try {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for (;;) {
      const chunk = Buffer.allocUnsafe(65_536);
      const read = readSync(fd, chunk, 0, chunk.length, null);
      if (read === 0) break;
      bytes += read;
      if (bytes > bytesMax) throw new FileError(`is larger than ${bytesMax} bytes`);
      chunks.push(chunk.subarray(0, read));
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    if (error instanceof FileError) throw error;
    if (error instanceof TypeError) throw new FileError('is not UTF-8 text', { cause: error });
    throw new FileError(reasonOf(error), { cause: error });
  } finally {
    closeSync(fd);
  }
}

function reasonOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'does not exist';
    case 'EACCES':
      return `may not be read by user ${userInfo().username}`;
    case 'EISDIR':
      return 'is a directory';
    default:
      return `cannot be read: ${(error as Error).message}`;
  }
}
