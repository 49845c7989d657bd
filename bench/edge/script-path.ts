import { fileURLToPath } from 'node:url';

/**
 * Path of a program of this benchmark, given relative to this file with its source's ending; in the
 * published package the compiled file is meant.
 */
export function scriptPath(source: `./${string}.ts`): string {
  const compiled = import.meta.url.endsWith('.js');
  const relative = compiled ? source.replace(/\.ts$/, '.js') : source;
  return fileURLToPath(new URL(relative, import.meta.url));
}
