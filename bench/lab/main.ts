import { Command } from 'commander';
import { registerDemo } from '../../src/cli/demo.ts';
import { registerLab } from '../../src/cli/lab.ts';

const program = new Command('holdfast');
registerLab(program);
registerDemo(program);
await program.parseAsync();
