#!/usr/bin/env node
// Starts the command line: the sources in a checkout, the compiled files in an installed package.
// Plain old JavaScript, so that an old Node can still say what it lacks.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

if (Number(process.versions.node.split('.')[0]) < 24) {
  const local = here('../node_modules/node/bin/node');
  if (!existsSync(local)) {
    console.error(
      `holdfast needs Node 24 or newer, this is ${process.versions.node}.\n` +
        'In a checkout run `npm run setup` once: it brings a Node of its own.',
    );
    process.exit(1);
  }
  const args = [fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const child = spawn(local, args, { stdio: 'inherit' });
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
  await new Promise(() => {});
}

const source = here('../src/cli/main.ts');
await import(existsSync(source) ? source : here('../dist/src/cli/main.js'));
