/** `holdfast schema`: the configuration's shape, for editors and as the reference page. */
import type { Command } from 'commander';
import { configJsonSchemaText } from '../config/json-schema.ts';
import { configReference } from '../config/reference.ts';

export function registerSchema(program: Command): void {
  program
    .command('schema')
    .summary('print the JSON Schema of the configuration')
    .description('Prints the JSON Schema of the configuration file, or its reference page.')
    .option('--markdown', 'print the reference page instead')
    .addHelpText(
      'after',
      `
Examples:
  holdfast schema > holdfast.schema.json
  holdfast schema --markdown | less`,
    )
    .action((options: { markdown?: boolean }) => {
      process.stdout.write(options.markdown ? configReference() : configJsonSchemaText());
    });
}
