/**
 * Two edges of your own that share session records and TLS ticket keys over the mesh.
 *   node examples/mesh.ts
 * A process that carries much traffic should start its MeshNode in a worker thread: others take a
 * node for dead whose event loop is busy for seconds.
 */
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
// In your project: from 'holdfast'.
import { defineConfig, Edge, MeshNode } from '../src/index.ts';

// In earnest: 32 bytes from a file that only the nodes can read (parseClusterKey reads its text).
const keys = [randomBytes(32)];
const log = pino({ level: 'warn' });

async function startNode(id: string, join: string[]): Promise<{ mesh: MeshNode; edge: Edge }> {
  const config = defineConfig({
    listen: ['127.0.0.1:0'],
    sites: { '*': { routes: { '/*': { redirect: 'https://example.com/' } } } },
  });
  const edge = new Edge(config, { log, accessLog: null });
  await edge.start();
  const mesh = await MeshNode.start({
    id,
    listen: '127.0.0.1:0',
    join,
    keys,
    // A TLS session of one edge resumes at the other, also after the keys changed.
    onTicketKeys: (secrets) => edge.setTicketKeys(secrets),
    onSessionTaken: (key) => console.log(`${id} lost ${key}`),
  });
  return { mesh, edge };
}

const a = await startNode('a', []);
const b = await startNode('b', [a.mesh.address]);

/** Nodes need a moment to find each other, and to agree who keeps what. */
async function until<T>(probe: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// What a custom edge knows of a client, above any TCP connection.
a.mesh.put('cart-17', Buffer.from('three pears'), 60_000);
const found = await until(() => b.mesh.get('cart-17'));
console.log(`b reads "${Buffer.from(found.value)}" of ${found.owner}`);

// The client comes to b from now on.
b.mesh.put('cart-17', Buffer.from('four pears'), 60_000, found.version);
const taken = await until(async () => {
  const record = await a.mesh.get('cart-17');
  return record?.owner === 'b' ? record : undefined;
});
console.log(`a reads "${Buffer.from(taken.value)}"`);
b.mesh.drop('cart-17');

for (const { mesh, edge } of [b, a]) {
  await mesh.close();
  await edge.drain();
}
