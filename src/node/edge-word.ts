/** Tells the agent how the edge beside it does. */
import type { AgentProcess } from '../agent/agent-process.ts';
import { edgeReport } from '../announce/site-health.ts';
import { routeKey } from '../edge/route.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';

const WORD_MS = 1_000;

/** Once a second, while the agent announces. @returns the timer, which keeps no process alive. */
export function tellEdgeHealth(agent: AgentProcess, supervisor: Supervisor): NodeJS.Timeout {
  const tell = () => {
    if (!agent.announces) return;
    const { unhealthy } = supervisor.legacy;
    const bad = new Set(unhealthy.map(({ key, originId }) => `${key}\n${originId}`));
    const isHealthy = (host: string, pattern: string, originId: string) =>
      !bad.has(`${routeKey(host, pattern)}\n${originId}`);
    agent.edgeSays(edgeReport(supervisor.config, supervisor.serves, isHealthy));
  };
  return setInterval(tell, WORD_MS).unref();
}
