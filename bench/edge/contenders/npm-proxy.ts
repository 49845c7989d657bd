/** Reverse proxies that are npm packages: each runs in a small server of its own. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { scriptPath } from '../script-path.ts';
import type { Contender } from '../site.ts';

const require = createRequire(import.meta.url);

/** The version in the package's own description; `undefined` when it is not installed. */
function installedVersion(packageName: string): string | undefined {
  try {
    let directory = dirname(require.resolve(packageName));
    while (dirname(directory) !== directory) {
      try {
        const text = readFileSync(join(directory, 'package.json'), 'utf8');
        const { name, version } = JSON.parse(text) as { name?: string; version?: string };
        if (name === packageName) return version;
      } catch {
        // The description lies further up.
      }
      directory = dirname(directory);
    }
  } catch {
    // Not installed.
  }
  return undefined;
}

function npmProxy(
  name: string,
  script: `./peers/${string}.ts`,
  facts: { tunnels: boolean },
): Contender {
  return {
    name,
    ...facts,
    // Neither has a log of its own: they are spared what ours does.
    accessLog: false,
    missing: () =>
      installedVersion(name) === undefined
        ? `the npm package ${name} is not installed (it is a development dependency)`
        : undefined,
    version: () => installedVersion(name) ?? 'unknown',
    launch: ({ port, originPort }) => ({
      files: {},
      argv: [process.execPath, scriptPath(script), String(port), String(originPort)],
    }),
  };
}

export const httpProxy = npmProxy('http-proxy', './peers/http-proxy.ts', { tunnels: true });
export const fastProxy = npmProxy('fast-proxy', './peers/fast-proxy.ts', { tunnels: false });
