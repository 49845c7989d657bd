/** Scenario files: YAML, checked with the same care as the configuration. */
import { FileError, readBoundedFile } from '../../../src/config/bounded-file.ts';
import { InterpolationError } from '../../../src/config/interpolation.ts';
import { findingsOf, issueText } from '../../../src/config/issue.ts';
import { nearest } from '../../../src/config/nearest.ts';
import {
  byPlace,
  ConfigError,
  type ConfigPath,
  type ConfigProblem,
  formatPath,
} from '../../../src/config/problem.ts';
import { YamlSource } from '../../../src/config/yaml-source.ts';
import { checkScenario } from './checks.ts';
import { ACTION_NAMES, type Scenario, scenarioSchema } from './schema.ts';

const FILE_BYTES_MAX = 262_144;

/** A scenario is the same wherever it is read: it takes nothing from its surroundings. */
const NOTHING = {
  variable: () => undefined,
  file: () => {
    throw new InterpolationError('a scenario takes no content from other files');
  },
};

type SchemaIssue = Parameters<typeof issueText>[0];

/** The configuration's texts, where a scenario has no better one. */
function text(issue: SchemaIssue): string | undefined {
  if (issue.code === 'invalid_union' && issue.discriminator === 'do') {
    const written = issue.input as { do?: unknown } | null | undefined;
    if (typeof written?.do !== 'string') return `is missing: write ${ACTION_NAMES.join(', ')}`;
    const guess = nearest(written.do, ACTION_NAMES);
    const mend = guess === undefined ? '' : `did you mean "${guess}"? Or `;
    return `"${written.do}" is nothing that can happen: ${mend}write ${ACTION_NAMES.join(', ')}`;
  }
  if (issue.code === 'invalid_value' && issue.input === undefined) {
    return `is missing: write ${issue.values.map(String).join(', ')}`;
  }
  return issueText(issue)?.replace('docs/reference/config.md', 'docs/reference/scenario.md');
}

/**
 * @param file Name shown in problems.
 * @throws ConfigError with every problem found, each with its place.
 */
export function parseScenario(content: string, file: string): Scenario {
  const source = new YamlSource(file, content);
  const reading = source.read(NOTHING);
  if (reading.problems.length > 0) throw new ConfigError(reading.problems);
  const problem = (path: ConfigPath, message: string, atKey = false): ConfigProblem => ({
    ...source.locate(path, atKey),
    // An unknown key is named in the text already.
    path: formatPath(atKey ? path.slice(0, -1) : path),
    message,
  });
  const parsed = scenarioSchema.safeParse(reading.value, { error: text, reportInput: true });
  if (!parsed.success) {
    const problems = findingsOf(parsed.error.issues).map((finding) =>
      problem(finding.path, finding.message, finding.atKey),
    );
    throw new ConfigError(problems.sort(byPlace));
  }
  const findings = checkScenario(parsed.data);
  if (findings.length > 0) {
    throw new ConfigError(
      findings.map(({ path, message }) => problem(path, message)).sort(byPlace),
    );
  }
  return parsed.data;
}

/** @throws ConfigError when the file cannot be read or is wrong. Reads at most 256 KiB. */
export function loadScenario(file: string): Scenario {
  let content: string;
  try {
    content = readBoundedFile(file, FILE_BYTES_MAX);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new ConfigError([{ file, line: 0, column: 0, path: '', message: error.message }]);
  }
  return parseScenario(content, file);
}
