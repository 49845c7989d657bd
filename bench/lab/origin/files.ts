/** The origin's static side: nginx with files whose hashes are known. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LabError } from '../errors.ts';
import { seededBytes } from '../random-bytes.ts';
import { nginxFrame } from '../servers/nginx.ts';

export const FILES_PORT = 8080;
export const APP_PORT = 8081;

/** Distinct contents per direction; sessions beyond that share them. */
export const CONTENTS_MAX = 4;

/** While this file is there, who asks from that address is told that the origin is not well. */
export const unwellFile = (directory: string, address: string): string =>
  join(directory, `unwell-${address}`);

/**
 * nginx as a file server on {@link FILES_PORT}; `?rate=N` paces a response to N bytes a second.
 * The origin sets the pace because curl does not keep its own limit when a server is faster than
 * its output: it then takes whatever is there.
 */
export function filesConfig(directory: string, root: string): string {
  return nginxFrame(
    directory,
    `  sendfile on;
  types { }
  default_type application/octet-stream;
  server {
    listen 0.0.0.0:${FILES_PORT} backlog=4096;
    listen [::]:${FILES_PORT} ipv6only=on backlog=4096;
    location /files/ { alias ${root}/; limit_rate $arg_rate; sendfile_max_chunk 64k; }
    location = /health { if (-f ${unwellFile(directory, '$remote_addr')}) { return 503; } return 200 "ok\\n"; }
  }
`,
  );
}

/** A file to be carried through the edge, and the hash that must come out. */
export interface Content {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Writes `count` files of `bytes` each.
 * @throws LabError `ERR_LAB_COMMAND` when they do not fit on the disk.
 */
export async function writeContents(
  directory: string,
  prefix: string,
  count: number,
  bytes: number,
  seed: number,
): Promise<Content[]> {
  await mkdir(directory, { recursive: true });
  const contents: Content[] = [];
  for (let index = 0; index < Math.min(count, CONTENTS_MAX); index += 1) {
    const name = `${prefix}-${index + 1}.bin`;
    const path = join(directory, name);
    const data = seededBytes(seed, name, bytes);
    try {
      await writeFile(path, data);
    } catch (error) {
      throw new LabError(`cannot write ${path}: ${String(error)}`, 'ERR_LAB_COMMAND', error);
    }
    contents.push({ name, path, bytes, sha256: createHash('sha256').update(data).digest('hex') });
  }
  return contents;
}
