/** Makes the namespaces and cables of a topology. */
import { runCommand } from './command.ts';
import { insideNamespace } from './daemons.ts';
import type { Topology } from './topology.ts';
import { linkCommands, namespaceCommands, namespaceName, nodeCommands, sysctls } from './wiring.ts';

async function batch(argv: readonly string[], lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const input = lines.map((line) => `${line}\n`).join('');
  await runCommand([...argv, '-batch', '-'], { input });
}

/** @throws LabError `ERR_LAB_COMMAND`; what exists by then is removed by the lab's record. */
export async function wire(topology: Topology, labId: string): Promise<void> {
  await batch(['ip'], namespaceCommands(topology, labId));
  await Promise.all(
    topology.nodes.map((node) => {
      const settings = Object.entries(sysctls(node.kind)).map(([key, value]) => `${key}=${value}`);
      const argv = ['sysctl', '-q', '-w', ...settings];
      return runCommand(insideNamespace(namespaceName(labId, node.name), argv));
    }),
  );
  await batch(['ip'], linkCommands(topology, labId));
  await Promise.all(
    topology.nodes.map((node) =>
      batch(['ip', '-n', namespaceName(labId, node.name)], nodeCommands(topology, node)),
    ),
  );
}
