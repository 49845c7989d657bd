/** Does to the network what a scenario asks for, and undoes it. */
import { runCommand, tryCommand } from '../command.ts';
import { insideNamespace } from '../daemons.ts';
import { LabError } from '../errors.ts';
import type { Lab } from '../lab.ts';
import { type Impairment, LINK_MTU, type Span } from '../topology.ts';
import {
  backboneRules,
  FAULT_TABLE,
  SPLIT_TABLE,
  type Split,
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

  async split(split: Split): Promise<void> {
    const { by } = split;
    const { topology } = this.#lab;
    // One after the other would leave the rules of the first behind.
    await this.#ip('router', splitRoutesRemoval(topology), true);
    await this.#ip('router', splitRoutes(topology));
    await this.#replaceTable('router', SPLIT_TABLE, splitRules(topology, split));
    for (const client of topology.clients) {
      if (by === 'ttl') await this.#replaceTable(client.name, SPLIT_TABLE, ttlBoxRules());
      // Servers answer an ECN SYN by default; clients must be told to ask.
      if (by === 'ecn') await this.#sysctl(client.name, 'net.ipv4.tcp_ecn=1');
    }
  }

  /** Ends a split: packets follow the route again. */
  async join(): Promise<void> {
    const { topology } = this.#lab;
    await this.#removeTable('router', SPLIT_TABLE);
    await this.#ip('router', splitRoutesRemoval(topology), true);
    for (const { name } of topology.clients) await this.#removeTable(name, SPLIT_TABLE);
  }

  /** Both ends at once: then it is the path that is narrow, and nothing is dropped unheard. */
  async setClientMtu(bytes: number): Promise<void> {
    for (const client of this.#lab.topology.clients) {
      await this.#ip('router', [`link set ${client.name} mtu ${bytes}`]);
      await this.#ip(client.name, [`link set access mtu ${bytes}`]);
    }
  }

  /** What is left out stays. @throws LabError `ERR_LAB_USAGE` when these links are not long. */
  async stretch(span: Span, length: Partial<Impairment>): Promise<void> {
    const { longLinks } = this.#lab;
    if (longLinks === undefined) throw new LabError('no link of this lab is long', 'ERR_LAB_USAGE');
    await longLinks.change(span, length);
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
    await this.#lab.longLinks?.restore();
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
