/** Several `holdfast run` on loopback that share a mesh without a datapath. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeysAnswer } from '../../src/cli/keys.ts';
import type { NodesAnswer } from '../../src/cli/nodes.ts';
import { ask, eventually, holdfast, NodeUnderTest } from '../supervisor/node-under-test.ts';

export interface NodeSpec {
  /** Further lines of its configuration. */
  readonly yaml?: string;
  readonly workers?: number;
  /** Lines within `mesh`, with two spaces in front. */
  readonly mesh?: string;
}

export class MeshOfNodes {
  readonly directory = mkdtempSync(join(tmpdir(), 'holdfast-mesh-'));
  readonly key = randomBytes(32).toString('base64');
  readonly #common: string;
  readonly #ports = new Map<string, number>();
  readonly #nodes = new Map<string, NodeUnderTest>();

  /** @param common Configuration of all: what they listen on, and their sites. */
  constructor(common: string) {
    this.#common = common;
  }

  keyringOf(name: string): string {
    return join(this.directory, `${name}.keyring`);
  }

  node(name: string): NodeUnderTest {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  /** Ports are taken before the first starts, so that each can name the others. */
  async reserve(names: readonly string[]): Promise<void> {
    for (const name of names) this.#ports.set(name, await freePort());
  }

  /** Writes a configuration and starts a node, or starts it again. */
  async start(name: string, spec: NodeSpec = {}): Promise<NodeUnderTest> {
    await this.#nodes.get(name)?.dispose();
    const node = new NodeUnderTest(this.yaml(name, spec));
    this.#nodes.set(name, node);
    return node.up();
  }

  yaml(name: string, { yaml = '', workers = 1, mesh = '' }: NodeSpec = {}): string {
    const all = [...this.#ports].map(([, port]) => `127.0.0.1:${port}`);
    return `node: ${name}
admin: 127.0.0.1:0
workers: ${workers}
accessLog: off
mesh:
  listen: 127.0.0.1:${this.#ports.get(name)}
  join: ${JSON.stringify(all)}
  keys: ["${this.key}"]
  keyring: ${this.keyringOf(name)}
${mesh}
${yaml}
${this.#common}
`;
  }

  /** Runs a command that asks a node. */
  command(name: string, ...args: string[]): ReturnType<typeof holdfast> {
    return holdfast(args, { HOLDFAST_ADMIN: new URL(this.node(name).admin).host });
  }

  async nodes(name: string): Promise<NodesAnswer> {
    return JSON.parse((await ask(`${this.node(name).admin}/mesh/nodes`)).text) as NodesAnswer;
  }

  async keys(name: string): Promise<KeysAnswer> {
    return JSON.parse((await ask(`${this.node(name).admin}/mesh/keys`)).text) as KeysAnswer;
  }

  /** Resolves when every started node sees so many alive. */
  async together(count = this.#nodes.size): Promise<void> {
    for (const name of this.#nodes.keys()) {
      await eventually(`${count} nodes in the eyes of ${name}`, async () => {
        const { nodes = [] } = await this.nodes(name);
        return nodes.filter(({ state }) => state === 'alive').length === count;
      });
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map((node) => node.dispose()));
    rmSync(this.directory, { recursive: true });
  }
}

/** Free a moment ago, for TCP. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
