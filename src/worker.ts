/** The program of a worker process: one edge, told by the supervisor what to serve. */
import { formatListener, type Listener } from './config/listener.ts';
import type { Config } from './config/schema.ts';
import { Edge } from './edge/edge.ts';
import { HoldfastError } from './errors.ts';
import { AccessLogTarget } from './supervisor/access-log-target.ts';
import type { SocketHandle } from './supervisor/listen-sockets.ts';
import { type NodeLog, openLog } from './supervisor/log.ts';
import type { Failure, FromWorker, MetricsSnapshot, ToWorker } from './supervisor/messages.ts';
import { addProcessMetrics } from './supervisor/process-metrics.ts';

/** What runs once the start message is there. */
interface Running {
  readonly edge: Edge;
  readonly accessLog: AccessLogTarget;
  readonly nodeLog: NodeLog;
}

if (process.send === undefined || process.env.HOLDFAST_WORKER === undefined) {
  process.stderr.write('This is a part of holdfast: start it with "holdfast run".\n');
  process.exit(2);
}

let running: Running | undefined;
/** Sockets of listeners that the next configuration opens, by `formatListener`. */
const sockets = new Map<string, SocketHandle>();

/** Callbacks tell of a broken channel; the supervisor's end is handled at 'disconnect'. */
const tell = (message: FromWorker) =>
  new Promise<void>((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, () => resolve());
  });

// A terminal or service manager signals the whole group: the supervisor alone decides what follows.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const) {
  process.on(signal, () => undefined);
}

process.on('uncaughtException', (error) => crash(error));
process.on('unhandledRejection', (reason) => crash(reason));
process.on('message', (message: ToWorker, handle: unknown) => {
  void obey(message, handle as SocketHandle | undefined);
});
process.on('disconnect', () => void leave('the supervisor is gone'));

async function obey(message: ToWorker, handle: SocketHandle | undefined): Promise<void> {
  switch (message.type) {
    case 'socket':
      if (handle !== undefined) sockets.set(message.listener, handle);
      return;
    case 'start':
      return start(message);
    case 'apply':
      return apply(message.id, message.config);
    case 'health':
      running?.edge.setOriginHealth(message.key, message.originId, message.healthy);
      return;
    case 'ticketKeys':
      running?.edge.setTicketKeys(message.keys);
      return;
    case 'collect':
      return collect(message.id, message.metrics);
    case 'reopen':
      return reopen();
    case 'retire':
      return retire();
    case 'drain':
      return leave('the supervisor says so');
  }
}

async function start(message: Extract<ToWorker, { type: 'start' }>): Promise<void> {
  const { config } = message;
  const nodeLog = openLog(config.logLevel, {
    node: config.node ?? '',
    pid: process.pid,
    worker: Number(process.env.HOLDFAST_WORKER),
  });
  try {
    const accessLog = new AccessLogTarget(config.accessLog);
    const edge = new Edge(config, {
      log: nodeLog.log,
      accessLog,
      ticketKeys: message.ticketKeys,
      socketFor: takeSocket,
    });
    addProcessMetrics(edge.metrics, () => accessLog.droppedLines);
    running = { edge, accessLog, nodeLog };
    for (const { key, originId, healthy } of message.health) {
      edge.setOriginHealth(key, originId, healthy);
    }
    await edge.start();
    closeSockets();
    await tell({ type: 'ready', ports: edge.ports() });
  } catch (error) {
    await tell({ type: 'failed', failure: failureOf(error) });
    process.exit(1);
  }
}

async function apply(id: number, config: Config): Promise<void> {
  if (running === undefined) return;
  const { edge, accessLog, nodeLog } = running;
  let preparation: ReturnType<AccessLogTarget['prepare']> | undefined;
  try {
    preparation = accessLog.prepare(config.accessLog);
    await edge.apply(config);
    await preparation.commit();
    nodeLog.log.level = config.logLevel;
    closeSockets();
    await tell({ type: 'applied', id, ports: edge.ports() });
  } catch (error) {
    await preparation?.abort();
    closeSockets();
    await tell({ type: 'applied', id, ports: edge.ports(), failure: failureOf(error) });
  }
}

async function collect(id: number, withMetrics: boolean): Promise<void> {
  if (running === undefined) return;
  const { edge } = running;
  const metrics = withMetrics ? ((await edge.metrics.getMetricsAsJSON()) as MetricsSnapshot) : null;
  await tell({
    type: 'collected',
    id,
    status: edge.status(),
    ...(metrics === null ? {} : { metrics }),
  });
}

function reopen(): void {
  try {
    running?.accessLog.reopen();
  } catch (error) {
    running?.nodeLog.log.error({ error }, 'cannot open the access log anew, going on with the old');
  }
}

function takeSocket(listener: Listener): SocketHandle | undefined {
  const name = formatListener(listener);
  const socket = sockets.get(name);
  sockets.delete(name);
  return socket;
}

/** Those that were not taken: of a configuration that was refused, say. */
function closeSockets(): void {
  for (const socket of sockets.values()) socket.close();
  sockets.clear();
}

let leaving = false;

async function leave(reason: string): Promise<void> {
  if (leaving) return;
  leaving = true;
  if (running === undefined) process.exit(0);
  running.nodeLog.log.info({ reason }, 'worker leaves service');
  const { cut } = await running.edge.drain();
  await end(running, cut);
}

async function retire(): Promise<void> {
  if (running === undefined) process.exit(0);
  running.nodeLog.log.info('worker retires: it finishes what it has');
  await running.edge.retire();
  if (leaving) return;
  leaving = true;
  await end(running, 0);
}

async function end({ edge, accessLog, nodeLog }: Running, cut: number): Promise<void> {
  const metrics = (await edge.metrics.getMetricsAsJSON()) as MetricsSnapshot;
  await tell({ type: 'drained', cut, metrics });
  await accessLog.close();
  await nodeLog.close();
  process.exit(0);
}

/** What nobody caught: the state of this process is unknown, its sessions end, those of others do not. */
function crash(cause: unknown): void {
  const error = cause instanceof Error ? cause : new Error(String(cause));
  if (running === undefined) {
    process.stderr.write(`${error.stack}\n`);
  } else {
    running.nodeLog.log.fatal({ err: error }, 'worker crashes');
    running.nodeLog.flushSync();
    running.accessLog.flushSync();
  }
  process.exit(1);
}

function failureOf(error: unknown): Failure {
  const { message } = error as Error;
  return { code: error instanceof HoldfastError ? error.code : 'ERR_WORKER_START', message };
}
