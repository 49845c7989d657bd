/** The program of an agent process beside the edge workers of `holdfast run`. */
import type { AdminAnswer } from '../admin/admin-server.ts';
import { HoldfastError } from '../errors.ts';
import type { AgentApi } from './agent-api.ts';
import type { FromAgent, ToAgent } from './agent-messages.ts';
import { AgentNode } from './agent-node.ts';
import { MeshAgentNode } from './mesh-agent-node.ts';

/** With a datapath or without. */
let node: AgentNode | MeshAgentNode | undefined;
let api: Pick<AgentApi, 'source' | 'routes'> | undefined;
let stopping = false;

/** The time of an agent whose node is gone. */
const ORPHAN_MS = 10_000;

const tell = (message: FromAgent) =>
  new Promise<void>((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, () => resolve());
  });

if (process.send === undefined) {
  process.stderr.write(
    'This is a part of holdfast: start it with "holdfast run" or "holdfast agent".\n',
  );
  process.exit(2);
}

// A terminal or service manager signals the whole group: the node decides what follows.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

process.on('message', (message: ToAgent) => void handle(message));
// The kernel goes on healing; whoever starts the node again takes it over.
process.on('disconnect', () => {
  // Nobody serves any more; and nobody is left who could end a process that hangs.
  setTimeout(() => process.exit(1), ORPHAN_MS).unref();
  void stop(true);
});

void tell({ type: 'loaded' });

async function handle(message: ToAgent): Promise<void> {
  switch (message.type) {
    case 'start':
      return await start(message);
    case 'ask':
      return await tell({ type: 'answer', id: message.id, answer: await answer(message) });
    case 'edge':
      if (node instanceof AgentNode) node.edgeSays(message.report);
      return;
    case 'drain':
      return await drain();
    case 'closed':
      if (node instanceof AgentNode) node.sessionsClosed();
      return;
    case 'stop':
      return await stop(message.leave);
  }
}

async function start({ loaded, version }: Extract<ToAgent, { type: 'start' }>): Promise<void> {
  try {
    const onTicketKeys = (keys: readonly Uint8Array[]) => void tell({ type: 'ticketKeys', keys });
    node =
      loaded.config.datapath === undefined
        ? new MeshAgentNode(loaded, version, onTicketKeys)
        : new AgentNode(loaded, version, {
            onTicketKeys,
            onDrain: (phase) => void tell({ type: 'drain', phase }),
          });
    api = await node.start(false);
    await tell({ type: 'up' });
  } catch (error) {
    const { message } = error as Error;
    const code = error instanceof HoldfastError ? error.code : 'ERR_AGENT_START';
    await tell({ type: 'failed', code, message });
    process.exit(1);
  }
}

async function answer(asked: Extract<ToAgent, { type: 'ask' }>): Promise<AdminAnswer> {
  if (api === undefined) return { status: 503, body: { error: 'the agent is starting' } };
  try {
    if (asked.path === '/status') return await api.source.status();
    if (asked.path === '/metrics') return await api.source.metrics();
    const route = api.routes[asked.path];
    if (route === undefined) return { status: 404, body: { error: `no ${asked.path} here` } };
    return await route.answer({ query: new URLSearchParams(asked.query), body: asked.body });
  } catch (error) {
    return { status: 500, body: { error: (error as Error).message } };
  }
}

/** Who announces nothing has nothing to wait for. */
async function drain(): Promise<void> {
  if (node instanceof AgentNode && (await node.drain())) return;
  node?.setDraining(true);
  await tell({ type: 'drain', phase: 'drained' });
}

async function stop(leave: boolean): Promise<void> {
  if (stopping) return;
  stopping = true;
  if (node instanceof AgentNode) await node.stop(leave, leave);
  else await node?.stop(leave);
  process.exit(0);
}
