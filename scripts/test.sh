#!/usr/bin/env bash
# Everything that must hold: format, lint, types, unit tests and, as root, the tests in network namespaces.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

step() { printf '\n== %s\n' "$*"; }

step 'format and lint'; biome ci .
step 'types'; tsc --noEmit
step 'tests'
if [ "$(id -u)" = 0 ]; then
  exec node --test 'test/**/*.test.ts'
fi
echo 'Not root: tests that need network namespaces are skipped (run sudo npm test for all).'
exec node --test 'test/**/*.test.ts'
