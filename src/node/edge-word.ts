/** Tells the agent how the edge beside it does. */
import type { AgentProcess } from '../agent/agent-process.ts';
import { edgeReport } from '../announce/site-health.ts';
import { routeKey } from '../edge/route.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';

const WORD_MS = 1_000;

/**
 * Once a second, while the agent announces.
 * @param isFollowing Whether another release still serves on the same sockets: then whoever asks is
 * answered, though this one has no worker yet.
 * @returns the timer, which keeps no process alive.
 */
export function tellEdgeHealth(
  agent: Pick<AgentProcess, 'announces' | 'edgeSays'>,
  supervisor: Pick<Supervisor, 'legacy' | 'config' | 'serves'>,
  isFollowing: () => boolean,
): NodeJS.Timeout {
  const tell = () => {
    if (!agent.announces) return;
    const { unhealthy } = supervisor.legacy;
    const bad = new Set(unhealthy.map(({ key, originId }) => `${key}\n${originId}`));
    const isHealthy = (host: string, pattern: string, originId: string) =>
      !bad.has(`${routeKey(host, pattern)}\n${originId}`);
    const accepting = supervisor.serves || isFollowing();
    agent.edgeSays(edgeReport(supervisor.config, accepting, isHealthy));
  };
  return setInterval(tell, WORD_MS).unref();
}
