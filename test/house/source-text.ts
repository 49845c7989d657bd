/** Reads TypeScript just well enough for the house rules: what is code, what is text, what is imported. */

export interface Import {
  readonly specifier: string;
  /** Names as the exporting module has them; empty for `import 'x'`, `*` and default imports. */
  readonly names: readonly string[];
  /** Erased by the compiler: binds no code. */
  readonly typeOnly: boolean;
  /** Everything at once (`* as x`, a default import, `import()`), so names say nothing. */
  readonly whole: boolean;
}

/** The source without comments and, unless `keepTexts`, without the insides of strings and regexes. */
export function codeOf(source: string, keepTexts = false): string {
  let code = '';
  let at = 0;
  const templates: number[] = [];
  let depth = 0;
  const text = (end: number, quote = source[at] ?? '') => {
    code += keepTexts ? source.slice(at, end) : quote + quote;
    at = end;
  };
  while (at < source.length) {
    const char = source[at] as string;
    const two = source.slice(at, at + 2);
    if (two === '//') at = indexOr(source, '\n', at);
    else if (two === '/*') at = indexOr(source, '*/', at + 2) + 2;
    else if (char === "'" || char === '"') text(endOfString(source, at, char));
    else if (char === '/' && regexMayBegin(code)) text(endOfRegex(source, at));
    else if (char === '`' || (char === '}' && templates.at(-1) === depth)) {
      if (char === '}') templates.pop();
      const { end, opens } = endOfTemplatePart(source, at + 1);
      if (opens) templates.push(depth);
      text(end, '`');
    } else {
      if (char === '{') depth += 1;
      if (char === '}') depth -= 1;
      code += char;
      at += 1;
    }
  }
  return code;
}

/** All imports and re-exports, static and dynamic. */
export function importsOf(source: string): Import[] {
  const code = codeOf(source, true);
  const found: Import[] = [];
  const bound =
    /(?:^|[;}\n])\s*(?:import|export)\s+(type\s+)?([^'"`;()]*?)\s*\bfrom\s*['"]([^'"]+)['"]/g;
  for (const [, type, clause = '', specifier = ''] of code.matchAll(bound)) {
    found.push(clauseOf(clause, specifier, type !== undefined));
  }
  const bare =
    /(?:^|[;}\n])\s*import\s*['"]([^'"]+)['"]|\b(?:import|require)\s*\(\s*['"]([^'"]+)['"]/g;
  for (const [, first, second] of code.matchAll(bare)) {
    found.push({ specifier: first ?? second ?? '', names: [], typeOnly: false, whole: true });
  }
  return found;
}

function clauseOf(clause: string, specifier: string, type: boolean): Import {
  const braces = /\{([^}]*)\}/.exec(clause);
  const outside = clause.replace(/\{[^}]*\}/, '').replaceAll(/[,\s]/g, '');
  const items = (braces?.[1] ?? '').split(',').map((item) => item.trim());
  const values = items.filter((item) => item !== '' && !item.startsWith('type '));
  return {
    specifier,
    names: values.map((item) => item.split(/\s+as\s+/)[0] ?? item),
    typeOnly: type || (outside === '' && braces !== null && values.length === 0),
    whole: outside !== '',
  };
}

function indexOr(source: string, wanted: string, from: number): number {
  const index = source.indexOf(wanted, from);
  return index === -1 ? source.length : index;
}

function endOfString(source: string, start: number, quote: string): number {
  let at = start + 1;
  while (at < source.length && source[at] !== quote) at += source[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** A slash begins a regex where a value may begin, and divides where a value has just ended. */
function regexMayBegin(before: string): boolean {
  const tail = before.trimEnd();
  return /(?:^|[([{,;:=!&|?+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|throw))$/.test(
    tail,
  );
}

function endOfRegex(source: string, start: number): number {
  let at = start + 1;
  let inClass = false;
  while (at < source.length && source[at] !== '\n') {
    const char = source[at];
    if (char === '\\') at += 1;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '/' && !inClass) return at + 1;
    at += 1;
  }
  return at;
}

/** To the closing backtick, or past the `${` that opens code. */
function endOfTemplatePart(source: string, start: number): { end: number; opens: boolean } {
  let at = start;
  while (at < source.length) {
    if (source[at] === '\\') at += 1;
    else if (source[at] === '`') return { end: at + 1, opens: false };
    else if (source[at] === '$' && source[at + 1] === '{') return { end: at + 2, opens: true };
    at += 1;
  }
  return { end: at, opens: false };
}
