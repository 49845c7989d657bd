import { tryCommand } from './command.ts';
import { type Daemon, insideNamespace, waitUntil } from './daemons.ts';

const ANSWER_TIMEOUT_MS = 20_000;

/**
 * Waits until a URL, asked inside a namespace, is answered with success.
 * @throws LabError `ERR_LAB_DAEMON` with the daemons' logs when one ends or 20 s pass.
 */
export async function waitForAnswer(
  namespace: string,
  url: string,
  options: {
    readonly complaint: string;
    readonly daemons: readonly Daemon[];
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const argv = ['curl', '-q', '-g', '-s', '-f', '-m', '2', '-o', '/dev/null', url];
  const inside = insideNamespace(namespace, argv);
  await waitUntil(async () => (await tryCommand(inside)).code === 0, {
    ...options,
    timeoutMs: ANSWER_TIMEOUT_MS,
  });
}
