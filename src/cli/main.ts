/** The command line. */
import { Command } from 'commander';
import { version } from '../node.ts';
import { registerAgent } from './agent.ts';
import { registerAnnounce } from './announce.ts';
import { registerBench } from './bench.ts';
import { registerBenchFlap } from './bench-flap.ts';
import { registerBenchMesh } from './bench-mesh.ts';
import { registerDemo } from './demo.ts';
import { registerDoctor } from './doctor.ts';
import { registerDrain, registerResume } from './drain.ts';
import { reportFailure } from './exit.ts';
import { registerKeys } from './keys.ts';
import { registerLab } from './lab.ts';
import { registerNodes } from './nodes.ts';
import { registerReload } from './reload.ts';
import { registerRun } from './run.ts';
import { registerSchema } from './schema.ts';
import { registerSim } from './sim.ts';
import { registerStatus } from './status.ts';
import { registerTrace } from './trace.ts';
import { registerUpgrade } from './upgrade.ts';
import { registerValidate } from './validate.ts';

const program = new Command('holdfast')
  .description('An edge proxy for anycast addresses, whose TCP sessions survive route changes.')
  .version(version(), '-V, --version')
  .showHelpAfterError('(holdfast --help tells more)')
  .exitOverride()
  .addHelpText(
    'after',
    `
Exit codes: 0 ok, 1 runtime error, 2 usage, 3 invalid configuration, 4 node unreachable, 5 degraded.

Example:
  holdfast run --to http://127.0.0.1:3000 --listen :8080`,
  );

registerRun(program);
registerAgent(program);
registerValidate(program);
registerReload(program);
registerUpgrade(program);
registerStatus(program);
registerAnnounce(program);
registerDrain(program);
registerResume(program);
registerNodes(program);
registerTrace(program);
registerKeys(program);
registerDoctor(program);
registerSchema(program);
registerLab(program);
registerDemo(program);
registerBench(program);
registerBenchMesh(program);
registerBenchFlap(program);
registerSim(program);

// A reader that has seen enough, such as `head`, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
