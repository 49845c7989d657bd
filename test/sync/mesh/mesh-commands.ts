/** The mesh's commands alone, as a program for tests. */
import { Command } from 'commander';
import { reportFailure } from '../../../src/cli/exit.ts';
import { registerKeys } from '../../../src/cli/keys.ts';
import { registerNodes } from '../../../src/cli/nodes.ts';

const program = new Command('holdfast').exitOverride();
registerKeys(program);
registerNodes(program);
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
