/** Where a redirect leads. A core. */

/** What the placeholders stand for. */
export interface RedirectFacts {
  readonly host: string;
  readonly path: string;
  /** With its question mark, or empty. */
  readonly query: string;
}

/**
 * Fills in `{host}`, `{path}` and `{query}`; other braces stay as they are.
 * A location that begins with two slashes would name another host (RFC 3986, 4.2): a client could
 * ask for `//evil.example/` and be sent there. Leading slashes become one.
 */
export function redirectLocation(template: string, facts: RedirectFacts): string {
  const location = template.replace(
    /\{(host|path|query)\}/g,
    (_all, name: keyof RedirectFacts) => facts[name],
  );
  return location.replace(/^[/\\]{2,}/, '/');
}
