/** The command line. */
import { Command } from 'commander';
import { version } from '../version.ts';
import { reportFailure } from './exit.ts';

type Register = (program: Command) => void;

/**
 * The commands in the order of the help. Only the one that is called is loaded: all of them together
 * are a second of work, which nobody should wait for who asks for a status.
 */
const COMMANDS: Readonly<Record<string, () => Promise<readonly Register[]>>> = {
  run: async () => [(await import('./run.ts')).registerRun],
  agent: async () => [(await import('./agent.ts')).registerAgent],
  validate: async () => [(await import('./validate.ts')).registerValidate],
  reload: async () => [(await import('./reload.ts')).registerReload],
  upgrade: async () => [(await import('./upgrade.ts')).registerUpgrade],
  status: async () => [(await import('./status.ts')).registerStatus],
  announce: async () => [(await import('./announce.ts')).registerAnnounce],
  drain: async () => [(await import('./drain.ts')).registerDrain],
  resume: async () => [(await import('./drain.ts')).registerResume],
  nodes: async () => [(await import('./nodes.ts')).registerNodes],
  trace: async () => [(await import('./trace.ts')).registerTrace],
  keys: async () => [(await import('./keys.ts')).registerKeys],
  doctor: async () => [(await import('./doctor.ts')).registerDoctor],
  schema: async () => [(await import('./schema.ts')).registerSchema],
  lab: async () => [(await import('./lab.ts')).registerLab],
  demo: async () => [(await import('./demo.ts')).registerDemo],
  bench: async () => [
    (await import('./bench.ts')).registerBench,
    (await import('./bench-mesh.ts')).registerBenchMesh,
    (await import('./bench-flap.ts')).registerBenchFlap,
  ],
  sim: async () => [(await import('./sim.ts')).registerSim],
};

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

const asked = process.argv[2] ?? '';
const isKnown = Object.hasOwn(COMMANDS, asked);
const needed = isKnown ? [asked] : asked === '--version' ? [] : Object.keys(COMMANDS);
for (const name of needed) {
  for (const register of await COMMANDS[name]!()) register(program);
}

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
