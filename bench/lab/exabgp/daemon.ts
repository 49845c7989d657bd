/** An ExaBGP on a PoP, beside its BIRD: it announces what holdfast says, and nothing else. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EXABGP_PORT } from '../bird/config.ts';
import { Daemon } from '../daemons.ts';
import type { Lab } from '../lab.ts';
import { holdfastProgram } from '../package-root.ts';
import type { PopPlan } from '../topology.ts';
import { exabgpConfig } from './config.ts';

/** Where a PoP's agent and the program that ExaBGP runs meet. */
export const exabgpSocket = (lab: Lab, pop: PopPlan): string =>
  join(lab.directory(pop.name), 'exabgp', 'agent.sock');

/** How long the program waits for the first word of an agent, seconds. */
const PATIENCE_S = 60;

export async function startExabgp(lab: Lab, pop: PopPlan): Promise<Daemon> {
  const directory = lab.directory(pop.name);
  const file = join(directory, 'exabgp.conf');
  const program = [process.execPath, holdfastProgram(), 'announce', 'exabgp'];
  const run = [...program, '--socket', exabgpSocket(lab, pop), '--patience', String(PATIENCE_S)];
  await writeFile(file, exabgpConfig(lab.topology, pop, run));
  const { 4: ipv4, 6: ipv6 } = pop.uplinkAddress;
  return await Daemon.start({
    title: `exabgp on ${pop.name}`,
    namespace: lab.namespace(pop.name),
    argv: ['exabgp', file],
    logFile: join(directory, 'exabgp.log'),
    environment: {
      'exabgp.api.cli': 'false',
      'exabgp.daemon.user': 'root',
      'exabgp.tcp.bind': `${ipv4} ${ipv6}`,
      'exabgp.tcp.port': String(EXABGP_PORT),
    },
  });
}
