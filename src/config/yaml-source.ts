/** A YAML text that remembers where each value was written. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  Scalar,
  visit,
} from 'yaml';
import {
  InterpolationError,
  interpolate,
  isOneExpression,
  type Surroundings,
} from './interpolation.ts';
import { type ConfigPath, type ConfigPlace, type ConfigProblem, formatPath } from './problem.ts';

/** Uses of anchors in one file. Guards against texts that grow exponentially ("billion laughs"). */
const ALIASES_MAX = 1_000;
/** One slip often breaks every line after it: more than this helps nobody. */
const SYNTAX_PROBLEMS_MAX = 10;

export interface YamlReading {
  /** Plain values, expressions filled in; `undefined` when there are problems. */
  readonly value: unknown;
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly ConfigProblem[];
  /** Values taken from files by `${file:…}`; never to be shown. */
  readonly secrets: readonly string[];
}

export class YamlSource {
  readonly file: string;
  readonly #lines = new LineCounter();
  readonly #text: string;
  #document: Document | undefined;

  /** @param file Name shown in problems. */
  constructor(file: string, text: string) {
    this.file = file;
    this.#text = text;
  }

  /** Parses and fills in expressions. Never throws: everything wrong becomes a problem. */
  read(from: Surroundings): YamlReading {
    const problems: ConfigProblem[] = [];
    const warnings: ConfigProblem[] = [];
    const secrets: string[] = [];
    const failed = () => ({ value: undefined, problems, warnings, secrets });
    let document: Document;
    try {
      document = parseDocument(this.#text, { lineCounter: this.#lines, prettyErrors: false });
    } catch (error) {
      // The parser recurses: a text of nothing but "[" may end its stack.
      if (!(error instanceof RangeError)) throw error;
      problems.push(this.#problem(0, '', 'is nested too deeply'));
      return failed();
    }
    this.#document = document;
    if (document.errors.some((error) => error.code === 'RESOURCE_EXHAUSTION')) {
      problems.push(this.#problem(0, '', 'is nested too deeply'));
      return failed();
    }
    for (const error of document.errors.slice(0, SYNTAX_PROBLEMS_MAX)) {
      const offset = error.pos[0];
      problems.push(this.#problem(offset, '', this.#syntaxText(offset, error.code, error.message)));
    }
    for (const warning of document.warnings) {
      warnings.push(this.#problem(warning.pos[0], '', warning.message));
    }
    if (problems.length > 0) return failed();
    this.#fillIn(document, from, problems, secrets);
    if (problems.length > 0) return failed();
    try {
      return { value: document.toJS({ maxAliasCount: ALIASES_MAX }), problems, warnings, secrets };
    } catch (error) {
      if (!(error instanceof ReferenceError || error instanceof RangeError)) throw error;
      const message = /^Unresolved alias/.test(error.message)
        ? `${error.message}; a text that starts with "*" needs quotes`
        : `has more than ${ALIASES_MAX} uses of anchors (*name)`;
      problems.push(this.#problem(0, '', message));
      return failed();
    }
  }

  /** Place of the value at `path`; `atKey` gives the place of its key instead. */
  locate(path: ConfigPath, atKey = false): ConfigPlace {
    return this.#place(this.#walk(path, atKey).offset);
  }

  /** `path` without the parts that a shorthand stands for, such as the `[0]` of a lone value. */
  shorten(path: ConfigPath): ConfigPath {
    return this.#walk(path, false).path;
  }

  #walk(path: ConfigPath, atKey: boolean): { offset: number; path: ConfigPath } {
    const followed: (string | number)[] = [];
    let node = this.#resolve(this.#document?.contents);
    let offset = node?.range?.[0] ?? 0;
    for (const [i, part] of path.entries()) {
      if (isSeq(node)) {
        // A list stands for {to: list}: the key was not written.
        if (typeof part === 'string') continue;
        node = this.#resolve(node.items[part]);
      } else if (isMap(node)) {
        // One value stands for a list of it: the position was not written.
        if (typeof part === 'number') continue;
        const pair = node.items.find((item) => String(keyOf(item)) === part);
        if (pair === undefined) {
          followed.push(part);
          break;
        }
        const key = pair.key as Node | null;
        node = this.#resolve(pair.value) ?? key ?? undefined;
        if (atKey && i === path.length - 1) node = key ?? undefined;
      } else {
        break;
      }
      followed.push(part);
      offset = node?.range?.[0] ?? offset;
    }
    return { offset, path: followed };
  }

  #resolve(node: unknown): Node | undefined {
    if (isAlias(node)) return this.#document && node.resolve(this.#document);
    return isMap(node) || isSeq(node) || isScalar(node) ? node : undefined;
  }

  #fillIn(document: Document, from: Surroundings, problems: ConfigProblem[], secrets: string[]) {
    const recording: Surroundings = {
      variable: (name) => from.variable(name),
      file: (path) => {
        const content = from.file(path);
        secrets.push(content.replace(/\r?\n$/, ''));
        return content;
      },
    };
    visit(document, {
      Pair: (_, pair) => {
        const key = keyOf(pair);
        const offset = (pair.key as Node | null)?.range?.[0] ?? 0;
        if (key === '__proto__') {
          problems.push(this.#problem(offset, '', 'the key "__proto__" is not allowed'));
        } else if (!isScalar(pair.key)) {
          problems.push(this.#problem(offset, '', 'a key must be a text; quote it'));
        }
      },
      Scalar: (position, node, ancestors) => {
        if (position === 'key' || typeof node.value !== 'string') return;
        if (!node.value.includes('${')) return;
        try {
          const filled = interpolate(node.value, recording);
          const untyped = node.type === Scalar.PLAIN && isOneExpression(node.value);
          node.value = untyped ? typed(filled) : filled;
        } catch (error) {
          if (!(error instanceof InterpolationError)) throw error;
          const offset = node.range?.[0] ?? 0;
          problems.push(this.#problem(offset, pathTo(node, ancestors), error.message));
        }
      },
    });
  }

  #syntaxText(offset: number, code: string, message: string): string {
    if (code === 'DUPLICATE_KEY') return 'this key is already written above: keep one of them';
    if (code === 'MULTIPLE_DOCS') return 'a second document ("---") begins here: keep one';
    const text = `this is not YAML: ${message.replaceAll(/\s+/g, ' ')}`;
    const line = this.#text.slice(this.#text.lastIndexOf('\n', offset - 1) + 1, offset);
    return /^[\s-]*\*/.test(line) ? `${text}; a text that starts with "*" needs quotes` : text;
  }

  #problem(offset: number, path: string, message: string): ConfigProblem {
    return { ...this.#place(offset), path, message };
  }

  #place(offset: number): ConfigPlace {
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.file, line: Math.max(1, line), column: Math.max(1, col) };
  }
}

function keyOf(pair: Pair): unknown {
  return isScalar(pair.key) ? pair.key.value : pair.key;
}

/** An unquoted `${PORT}` may be a number or a boolean, as if the value itself had been written. */
function typed(text: string): unknown {
  if (/^-?(0|[1-9]\d{0,14})(\.\d+)?$/.test(text)) return Number(text);
  if (text === 'true' || text === 'false') return text === 'true';
  return text;
}

function pathTo(node: Scalar, ancestors: readonly unknown[]): string {
  const path: (string | number)[] = [];
  for (const [i, parent] of ancestors.entries()) {
    const child = ancestors[i + 1] ?? node;
    if (isSeq(parent)) path.push(parent.items.indexOf(child));
    else if (isMap(parent)) path.push(String(keyOf(child as Pair)));
  }
  return formatPath(path);
}
