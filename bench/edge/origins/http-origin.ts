/** The origin of HTTP scenarios: nginx, which is never what limits. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nginxArgv, nginxFrame } from '../contenders/nginx.ts';

export const SMALL_BODY_BYTES = 1_024;
export const LARGE_BODY_BYTES = 10_485_760;

/** Writes what it needs into `directory` and says how to start it. */
export async function prepareHttpOrigin(directory: string, port: number): Promise<string[]> {
  const small = 'x'.repeat(SMALL_BODY_BYTES);
  const config = nginxFrame(
    directory,
    4_096,
    `  access_log off;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { root ${directory}; }
    location = /small { default_type text/plain; return 200 "${small}"; }
  }
`,
  );
  await writeFile(join(directory, 'nginx.conf'), config);
  await writeFile(join(directory, 'large'), Buffer.alloc(LARGE_BODY_BYTES, 'holdfast '));
  return nginxArgv(directory);
}
