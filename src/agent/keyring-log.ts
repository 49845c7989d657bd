/** What an operator should know of the cluster keys of this node. */
import type { Logger } from 'pino';
import { keyIdText } from '../sync/cluster-key.ts';
import type { Mesh } from '../sync/mesh.ts';

/** Said once, when the mesh is up. */
export async function logKeyring({ startingRing, keyringFile }: Mesh, log: Logger): Promise<void> {
  const keyring = keyringFile?.path;
  const { origin, dead } = startingRing;
  if (origin === 'continued') log.info({ keyring }, 'cluster keys are those stored');
  if (origin === 'replaced') {
    log.warn({ keyring }, 'every key of mesh.keys is new: those stored before are left behind');
  }
  if (dead.length > 0) {
    const ids = dead.map(keyIdText);
    log.warn({ keyring, ids }, 'mesh.keys has keys that were retired: take them out');
  }
  const obstacle = await keyringFile?.obstacle();
  if (obstacle !== undefined) {
    log.warn(
      { keyring, reason: obstacle },
      'changes of the cluster keys could not be stored: make the directory, or set mesh.keyring',
    );
  }
}

/** Said after each change over the wire, when the disk has it. */
export async function logKeysChanged({ keyringFile }: Mesh, log: Logger): Promise<void> {
  await keyringFile?.settled();
  const keyring = keyringFile?.path;
  const reason = keyringFile?.error ?? null;
  if (reason === null) log.info({ keyring }, 'the cluster keys changed and are stored');
  else {
    log.error(
      { keyring, reason },
      'the cluster keys changed and cannot be stored: put them into mesh.keys before the next start',
    );
  }
}
