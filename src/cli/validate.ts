/** `holdfast validate`: everything wrong with a configuration, at once. */
import type { Command } from 'commander';
import { ConfigError, type ConfigProblem, formatProblem } from '../config/problem.ts';
import { loadNodeConfig } from '../node.ts';
import { configFileOf, configOption } from './config-flags.ts';
import { ExitError, exitCodes, reportFailure } from './exit.ts';

export function registerValidate(program: Command): void {
  const command = program
    .command('validate')
    .summary('check a configuration file')
    .description(
      'Checks a configuration file without using it: syntax, keys, values, route patterns, ' +
        'certificates and keys. Names every error at once, with line and a way to mend it. Exits 3 ' +
        'when there are errors; warnings alone exit 0.',
    )
    .argument('[file]', 'configuration file (default: --config, HOLDFAST_CONFIG, ./holdfast.yaml)')
    .addOption(configOption())
    .option('--json', 'print {valid, errors, warnings} for programs')
    .addHelpText(
      'after',
      `
Examples:
  holdfast validate /etc/holdfast/holdfast.yaml
  holdfast validate --json holdfast.yaml | jq '.errors[].message'`,
    )
    .action((file: string | undefined, options: { json?: boolean }) => {
      const chosen = file ?? configFileOf(command, true);
      if (chosen === undefined) {
        throw new ExitError(exitCodes.usage, 'no file given, and there is no ./holdfast.yaml here');
      }
      process.exitCode = validate(chosen, options.json === true);
    });
}

function validate(file: string, json: boolean): number {
  let errors: readonly ConfigProblem[] = [];
  let warnings: readonly ConfigProblem[] = [];
  try {
    warnings = loadNodeConfig({ file, overrides: [] }).warnings;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (!json) return reportFailure(error);
    errors = error.problems;
  }
  if (json) {
    const result = { valid: errors.length === 0, errors, warnings };
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  } else {
    for (const warning of warnings) process.stderr.write(`warning: ${formatProblem(warning)}\n`);
    process.stdout.write(`${file} is valid\n`);
  }
  return errors.length === 0 ? exitCodes.ok : exitCodes.config;
}
