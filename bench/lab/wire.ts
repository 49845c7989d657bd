/** Makes the namespaces and cables of a topology. */
import { runCommand } from './command.ts';
import { insideNamespace } from './daemons.ts';
import { hasNetem, impairByNetem, type LongLinks, makeRelayedLinks } from './delay/impair.ts';
import type { Topology } from './topology.ts';
import { linkCommands, namespaceCommands, namespaceName, nodeCommands, sysctls } from './wiring.ts';

async function batch(argv: readonly string[], lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const input = lines.map((line) => `${line}\n`).join('');
  await runCommand([...argv, '-batch', '-'], { input });
}

/**
 * @returns The links that are long; `undefined` when none is.
 * @param lab Its id, the directory for logs, and the seed of what long links lose.
 * @throws LabError `ERR_LAB_COMMAND`; what exists by then is removed by the lab's record.
 */
export async function wire(
  topology: Topology,
  lab: { readonly id: string; readonly directory: string; readonly seed: number },
): Promise<LongLinks | undefined> {
  await batch(['ip'], namespaceCommands(topology, lab.id));
  await Promise.all(
    topology.nodes.map((node) => {
      const settings = Object.entries(sysctls(node.kind)).map(([key, value]) => `${key}=${value}`);
      const argv = ['sysctl', '-q', '-w', ...settings];
      return runCommand(insideNamespace(namespaceName(lab.id, node.name), argv));
    }),
  );
  const long = topology.links.filter((link) => link.impairment !== undefined);
  const netem = long.length > 0 && (await hasNetem(lab.id));
  const cables = netem ? topology.links : topology.links.filter((link) => !long.includes(link));
  await batch(['ip'], linkCommands(topology, lab.id, cables));
  const relayed = long.length > 0 && !netem ? await makeRelayedLinks(long, lab) : undefined;
  await Promise.all(
    topology.nodes.map((node) =>
      batch(['ip', '-n', namespaceName(lab.id, node.name)], nodeCommands(topology, node)),
    ),
  );
  return netem ? await impairByNetem(long, lab.id) : relayed;
}
