/** Does to the network what a scenario asks for, and undoes it. */
import { runCommand, tryCommand } from '../command.ts';
import { insideNamespace } from '../daemons.ts';
import type { Lab } from '../lab.ts';
import type { SplitBy } from '../scenarios/scenario.ts';
import { LINK_MTU } from '../topology.ts';
import {
  backboneRules,
  FAULT_TABLE,
  SPLIT_TABLE,
  splitRoutes,
  splitRoutesRemoval,
  splitRules,
  ttlBoxRules,
} from './rulesets.ts';

const lines = (text: readonly string[]) => text.map((line) => `${line}\n`).join('');

export class NetworkFaults {
  readonly #lab: Lab;
  readonly #cutOff = new Set<number>();
  #lossPercent = 0;

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  async split(by: SplitBy): Promise<void> {
    const { topology } = this.#lab;
    await this.#ip('router', splitRoutes(topology));
    await this.#replaceTable('router', SPLIT_TABLE, splitRules(topology, by));
    for (const client of topology.clients) {
      if (by === 'ttl') await this.#replaceTable(client.name, SPLIT_TABLE, ttlBoxRules());
      // Servers answer an ECN SYN by default; clients must be told to ask.
      if (by === 'ecn') await this.#sysctl(client.name, 'net.ipv4.tcp_ecn=1');
    }
  }

  /** Both ends at once: then it is the path that is narrow, and nothing is dropped unheard. */
  async setClientMtu(bytes: number): Promise<void> {
    for (const client of this.#lab.topology.clients) {
      await this.#ip('router', [`link set ${client.name} mtu ${bytes}`]);
      await this.#ip(client.name, [`link set access mtu ${bytes}`]);
    }
  }

  async loseMesh(percent: number): Promise<void> {
    this.#lossPercent = percent;
    await this.#applyBackbone();
  }

  async cutOff(rank: number): Promise<void> {
    this.#cutOff.add(rank);
    await this.#applyBackbone();
  }

  async mendBackbone(): Promise<void> {
    this.#cutOff.clear();
    this.#lossPercent = 0;
    await this.#applyBackbone();
  }

  /** Back to the network that was built, whatever was done to it, by this object or another one. */
  async clear(): Promise<void> {
    const { topology } = this.#lab;
    const clients = topology.clients.map((client) => client.name);
    this.#cutOff.clear();
    this.#lossPercent = 0;
    await Promise.all([
      ...clients.map(async (client) => {
        await this.#removeTable(client, SPLIT_TABLE);
        await this.#sysctl(client, 'net.ipv4.tcp_ecn=2');
      }),
      this.#removeTable('router', SPLIT_TABLE),
      this.#ip('router', splitRoutesRemoval(topology), true),
      ...topology.pops.map((pop) => this.#removeTable(pop.name, FAULT_TABLE)),
      this.setClientMtu(LINK_MTU),
    ]);
    // What an earlier run has taught the PoPs about the path would spoil the next one.
    const forget = ['-4 route flush cache', '-6 route flush cache', 'tcp_metrics flush all'];
    const nodes = [...clients, ...topology.pops.map((pop) => pop.name)];
    await Promise.all(nodes.map((node) => this.#ip(node, forget, true)));
  }

  async #applyBackbone(): Promise<void> {
    const { topology } = this.#lab;
    const fault = { lossPercent: this.#lossPercent, cutOff: [...this.#cutOff] };
    await Promise.all(
      topology.pops.map((pop) =>
        this.#replaceTable(pop.name, FAULT_TABLE, backboneRules(topology, pop, fault)),
      ),
    );
  }

  /** One transaction of nft: there is no moment without rules. */
  async #replaceTable(node: string, table: string, rules: string): Promise<void> {
    const input = `table ${table}\ndelete table ${table}\n${rules}`;
    await this.#inside(node, ['nft', '-f', '-'], input);
  }

  async #removeTable(node: string, table: string): Promise<void> {
    await this.#inside(node, ['nft', '-f', '-'], `table ${table}\ndelete table ${table}\n`);
  }

  async #ip(node: string, commands: readonly string[], mayFail = false): Promise<void> {
    const byFamily = new Map<string, string[]>();
    for (const command of commands) {
      const [, family = '-4', rest = ''] = /^(?:(-[46]) )?(.*)$/.exec(command) ?? [];
      byFamily.set(family, [...(byFamily.get(family) ?? []), rest]);
    }
    for (const [family, batch] of byFamily) {
      const argv = ['ip', family, '-n', this.#lab.namespace(node)];
      const input = lines(batch);
      if (mayFail) await tryCommand([...argv, '-force', '-batch', '-'], { input });
      else await runCommand([...argv, '-batch', '-'], { input });
    }
  }

  async #sysctl(node: string, setting: string): Promise<void> {
    await this.#inside(node, ['sysctl', '-q', '-w', setting]);
  }

  async #inside(node: string, argv: readonly string[], input = ''): Promise<void> {
    await runCommand(insideNamespace(this.#lab.namespace(node), argv), { input });
  }
}
