/**
 * Values from outside the file: `${NAME}`, `${NAME:-default}` and `${file:/path}` inside texts.
 * A core: the environment and the file system are handed in.
 *
 *     ${HOME}            the variable; an error when it is not set
 *     ${PORT:-8080}      the variable; the text after `:-` when it is not set or empty
 *     ${file:mesh.key}   the content of a file, without its last line break
 *     $${HOME}           the literal text ${HOME}
 */

/** The text cannot be filled in. The message says how to mend it. */
export class InterpolationError extends Error {}

export interface Surroundings {
  /** Value of an environment variable. */
  variable(name: string): string | undefined;
  /** Content of a file. Throws {@link InterpolationError} when it cannot be read. */
  file(path: string): string;
}

/** Longest text after filling in, characters. */
const TEXT_LENGTH_MAX = 1_048_576;

/** True when `text` is nothing but one `${…}`, so that its value may be a number or a boolean. */
export function isOneExpression(text: string): boolean {
  return /^\$\{[^{}]*\}$/.test(text);
}

/**
 * Fills in every expression of a text. Values are not searched for further expressions.
 * Throws {@link InterpolationError}.
 */
export function interpolate(text: string, from: Surroundings): string {
  let result = '';
  let at = 0;
  for (;;) {
    const start = text.indexOf('${', at);
    if (start === -1) return bounded(result + text.slice(at));
    if (start > at && text[start - 1] === '$') {
      result += `${text.slice(at, start - 1)}\${`;
      at = start + 2;
      continue;
    }
    const end = text.indexOf('}', start);
    if (end === -1) {
      throw new InterpolationError(`an opening "\${" has no "}": for a literal one write $\${`);
    }
    result += text.slice(at, start) + evaluate(text.slice(start + 2, end), from);
    bounded(result);
    at = end + 1;
  }
}

function evaluate(expression: string, from: Surroundings): string {
  if (expression.startsWith('file:')) {
    const path = expression.slice('file:'.length);
    if (path === '') throw new InterpolationError('names no file after "file:"');
    return from.file(path).replace(/\r?\n$/, '');
  }
  const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(expression);
  if (match === null) {
    throw new InterpolationError(
      `"\${${expression}}" is not understood: write \${NAME}, \${NAME:-default} or \${file:/path}`,
    );
  }
  const [, name = '', fallback] = match;
  const value = from.variable(name);
  if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
  if (value === undefined) {
    throw new InterpolationError(
      `the environment variable ${name} is not set: set it, or write \${${name}:-default}`,
    );
  }
  return value;
}

function bounded(text: string): string {
  if (text.length > TEXT_LENGTH_MAX) {
    throw new InterpolationError(`the filled-in text is longer than ${TEXT_LENGTH_MAX} characters`);
  }
  return text;
}
