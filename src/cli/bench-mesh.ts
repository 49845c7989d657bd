/** `holdfast bench mesh`: the mesh on real sockets and in the simulator. */
import { writeFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { measurementNames, runMeshBench } from '../../bench/mesh/run.ts';

interface MeshFlags {
  only?: readonly string[];
  quick?: boolean;
  json?: string;
}

function namesOf(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  const wrong = names.find((name) => !measurementNames.includes(name));
  if (wrong === undefined) return names;
  throw new InvalidArgumentError(
    `There is no "${wrong}"; there are: ${measurementNames.join(', ')}.`,
  );
}

/** Adds `holdfast bench mesh`. */
export function registerBenchMesh(program: Command): void {
  const known = program.commands.find((command) => command.name() === 'bench');
  const bench = known ?? program.command('bench').description('benchmarks');
  bench
    .command('mesh')
    .description('flow tickets between real processes; detection, rumours and stalls simulated')
    .option('--only <names>', measurementNames.join(', '), namesOf)
    .option('--quick', 'fewer and smaller measurements')
    .option('--json <file>', 'also write the result as JSON')
    .action(async (flags: MeshFlags) => {
      const results = await runMeshBench({
        quick: flags.quick === true,
        only: flags.only,
        say: (text) => process.stderr.write(`${text}\n`),
      });
      for (const [name, result] of Object.entries(results)) {
        process.stdout.write(`${name} ${JSON.stringify(result)}\n`);
      }
      if (flags.json !== undefined) {
        await writeFile(flags.json, `${JSON.stringify(results, null, 2)}\n`);
      }
    });
}
