/** A configuration that may be shown: without keys and other secrets. A core without IO. */

const HIDDEN = '(hidden)';
/** Keys whose values are secrets by their nature, wherever they are. */
const SECRET_KEY = /^(key|keys|secret|secrets|password|token|credentials)$/i;

/**
 * A copy in which secrets are replaced by `(hidden)`: texts under telling keys, and texts that
 * contain a value that was read with `${file:…}`.
 * @param secrets values read from files. Very short ones hide only texts equal to them.
 */
export function redacted(value: unknown, secrets: readonly string[]): unknown {
  const known = secrets.filter((secret) => secret !== '');
  const isSecret = (text: string) =>
    known.some((secret) => (secret.length < 4 ? text === secret : text.includes(secret)));
  const copy = (each: unknown, secretKey: boolean): unknown => {
    if (typeof each === 'string') return secretKey || isSecret(each) ? HIDDEN : each;
    if (Array.isArray(each)) return each.map((item) => copy(item, secretKey));
    if (typeof each !== 'object' || each === null) return each;
    return Object.fromEntries(
      Object.entries(each).map(([key, inner]) => [
        isSecret(key) ? HIDDEN : key,
        // A map under such a key, say a site of that name, has keys of its own to judge by.
        copy(inner, SECRET_KEY.test(key)),
      ]),
    );
  };
  return copy(value, false);
}
