/** Where a redirect leads. A core. */

/** What the placeholders stand for. */
export interface RedirectFacts {
  readonly host: string;
  readonly path: string;
  /** With its question mark, or empty. */
  readonly query: string;
}

/** Fills in `{host}`, `{path}` and `{query}`; other braces stay as they are. */
export function redirectLocation(template: string, facts: RedirectFacts): string {
  return template.replace(
    /\{(host|path|query)\}/g,
    (_all, name: keyof RedirectFacts) => facts[name],
  );
}
