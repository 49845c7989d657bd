/** Why a run has no result, in one line. Pure. */

const CHARS_MAX = 300;

/**
 * What went wrong, and the last thing that the program said about it: errors of the lab's programs
 * carry the end of their logs, most of which is of no use in a table.
 */
export function failureText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text.split('\n').map((line) => line.trim());
  const [first = '', ...others] = lines.filter((line) => line !== '');
  const last = others.findLast((line) => line !== '(empty)' && !line.endsWith(':'));
  return (last === undefined ? first : `${first}: ${last}`).slice(0, CHARS_MAX);
}
