import { PROTOCOL_MAX } from '../../proto/protocol.ts';
import type { CipherSuite } from '../cipher-suite.ts';
import type { Member, MemberChange, MeshNotice, Outbox } from '../core.ts';
import { isLive } from '../member-table.ts';
import { Random } from '../random.ts';
import { MEMBERSHIP_DEFAULTS, type MembershipSettings } from '../settings.ts';
import { Agenda } from './agenda.ts';
import { NETWORK_DEFAULTS, Network, type NetworkSettings } from './network.ts';
import { NEXT_VERSION_FIELDS } from './next-version.ts';
import { shamCipher } from './sham-cipher.ts';
import { type ComponentFactory, type Delivery, type SimHost, SimNode } from './sim-node.ts';

export interface WorldOptions {
  readonly nodes: number;
  readonly seed: number;
  readonly network?: Partial<NetworkSettings>;
  readonly settings?: Partial<MembershipSettings>;
  /** Share of nodes that speak the previous protocol version, and of those that speak the next. */
  readonly previousVersion?: number;
  readonly nextVersion?: number;
  readonly components?: ComponentFactory;
  /** Real cryptography instead of the sham: slower, and no longer the same for the same seed. */
  readonly suite?: CipherSuite;
  /** Nodes start evenly within this time. */
  readonly startWithinMs?: number;
}

export interface MemberEvent {
  readonly atMs: number;
  readonly observer: SimNode;
  readonly change: MemberChange;
  readonly member: Member;
}

type Happening =
  | { readonly type: 'wake'; readonly node: SimNode; readonly run: number }
  | Delivery
  | { readonly type: 'resume'; readonly node: SimNode; readonly run: number }
  | { readonly type: 'script'; readonly act: () => void };

/** Known to every node of a simulated cluster. */
export const SIM_SECRET = new Uint8Array(32).fill(7);
/** Nodes that everybody knows from the configuration. */
const SEEDS = 3;

/** Many nodes, one network and one clock, all from one seed. */
export class World implements SimHost {
  readonly nodes: SimNode[] = [];
  readonly network: Network;
  readonly settings: MembershipSettings;
  /** For the script's own choices. */
  readonly random: Random;
  readonly notices: MeshNotice[] = [];
  onMember: (event: MemberEvent) => void = () => {};
  onRumour: (node: SimNode, key: string, atMs: number) => void = () => {};
  datagrams = 0;
  datagramBytes = 0;
  streamBytes = 0;
  events = 0;
  readonly #agenda = new Agenda<Happening>();
  readonly #byAddress = new Map<string, SimNode>();
  readonly #byId = new Map<string, SimNode>();
  readonly #options: WorldOptions;
  readonly #suites: CipherSuite[] = [];
  readonly #streams = new Set<string>();
  #nowMs = 0;
  #hash = 0x811c9dc5;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.settings = { ...MEMBERSHIP_DEFAULTS, ...options.settings };
    this.random = new Random(options.seed);
    const { random } = this;
    this.network = new Network(
      options.nodes,
      { ...NETWORK_DEFAULTS, ...options.network },
      random.fork(),
    );
    for (let index = 0; index < options.nodes; index += 1) {
      const node = new SimNode(index, this, random.fork());
      const draw = random.float() - (options.nextVersion ?? 0);
      const isNext = draw < 0;
      if (isNext) node.protocolMax = PROTOCOL_MAX + 1;
      else if (draw < (options.previousVersion ?? 0)) node.protocolMax = PROTOCOL_MAX - 1;
      const sham = shamCipher(random.fork(), isNext ? NEXT_VERSION_FIELDS : undefined);
      this.#suites.push(options.suite ?? sham);
      this.nodes.push(node);
      this.#byAddress.set(node.address, node);
      this.#byId.set(node.id, node);
      const startMs = (index / options.nodes) * (options.startWithinMs ?? 1_000);
      this.at(startMs, () => this.start(node));
    }
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Over everything that happened so far: same seed, same hash. */
  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  up(): SimNode[] {
    return this.nodes.filter((node) => node.up);
  }

  at(atMs: number, act: () => void): void {
    this.#agenda.add(atMs, { type: 'script', act });
  }

  start(node: SimNode): void {
    if (node.up) return;
    const seeds = this.nodes.slice(0, SEEDS).map((seed) => seed.address);
    node.start(
      this.#nowMs,
      seeds,
      [SIM_SECRET],
      this.settings,
      this.#suites[node.index]!,
      this.#options.components,
    );
    this.#mix(node.run);
    this.#wake(node);
  }

  /** Ends a process. @param newBoot The machine restarts too. */
  crash(node: SimNode, newBoot = false): void {
    node.stop(newBoot);
    for (const key of this.#streams) {
      if (key.startsWith(`${node.index}>`) || key.includes(`>${node.index}/`)) {
        this.#streams.delete(key);
      }
    }
  }

  /** The process stands still; what arrives waits in its socket. Afterwards timers fire first. */
  stall(node: SimNode, durationMs: number): void {
    if (!node.up) return;
    node.stalledUntilMs = Math.max(node.stalledUntilMs, this.#nowMs + durationMs);
    this.#agenda.add(node.stalledUntilMs, { type: 'resume', node, run: node.run });
  }

  /** The local clock leaps ahead, as after the suspension of a virtual machine. */
  jumpClock(node: SimNode, byMs: number): void {
    node.clockMs += byMs;
    if (node.up) this.#wake(node);
  }

  act(node: SimNode, call: (nowMs: number, out: Outbox) => void): void {
    node.core?.act(node.localMs(this.#nowMs), call);
    this.#wake(node);
  }

  leave(node: SimNode): void {
    node.core?.leave(node.localMs(this.#nowMs));
    this.#wake(node);
  }

  tell(node: SimNode, key: string): void {
    this.act(node, (_nowMs, out) => node.observer!.tell(key, out));
  }

  runUntil(untilMs: number): void {
    while (this.#agenda.nextMs <= untilMs) {
      this.#nowMs = this.#agenda.nextMs;
      this.events += 1;
      this.#happen(this.#agenda.take());
    }
    this.#nowMs = untilMs;
  }

  /** Nodes that `node` holds alive or suspect, by id. */
  view(node: SimNode): Map<string, Member> {
    const view = new Map<string, Member>();
    for (const { member } of node.core!.membership.table.entries()) {
      if (isLive(member)) view.set(member.id, member);
    }
    return view;
  }

  #happen(happening: Happening): void {
    switch (happening.type) {
      case 'script':
        happening.act();
        return;
      case 'wake': {
        const { node } = happening;
        if (node.run !== happening.run || !node.up) return;
        if (this.#nowMs < node.wakeAtMs || this.#nowMs < node.stalledUntilMs) return;
        node.wakeAtMs = Number.POSITIVE_INFINITY;
        this.#mix(node.index);
        const localMs = node.localMs(this.#nowMs);
        if (node.core!.nextWakeupMs() <= localMs) node.core!.tick(localMs);
        this.#wake(node);
        return;
      }
      case 'resume': {
        const { node } = happening;
        if (node.run !== happening.run || !node.up || this.#nowMs < node.stalledUntilMs) return;
        // The worst order for a failure detector, and the one that Node has: timers first.
        const localMs = node.localMs(this.#nowMs);
        if (node.core!.nextWakeupMs() <= localMs) node.core!.tick(localMs);
        const waiting = node.waiting.splice(0);
        node.waitingBytes = 0;
        for (const delivery of waiting) this.#deliver(delivery);
        node.wakeAtMs = Number.POSITIVE_INFINITY;
        this.#wake(node);
        return;
      }
      default: {
        const { node } = happening;
        if (!node.up) this.#refuse(happening);
        else if (this.#nowMs < node.stalledUntilMs) node.hold(happening);
        else {
          this.#deliver(happening);
          this.#wake(node);
        }
      }
    }
  }

  #deliver(delivery: Delivery): void {
    const { node } = delivery;
    const localMs = node.localMs(this.#nowMs);
    const core = node.core!;
    if (delivery.type === 'datagram') {
      this.#mix(node.index * 2_048 + delivery.bytes.length);
      core.receive(localMs, delivery.bytes, delivery.from);
    } else if (delivery.type === 'stream') {
      const from = this.nodes[delivery.from]!;
      if (delivery.toRun !== node.run || from.run !== delivery.run) return;
      this.#mix(node.index * 4_096 + delivery.body.length);
      core.streamMessage(localMs, from.id, delivery.run, delivery.channel, delivery.body);
    } else if (delivery.run === node.run) {
      core.streamDown(localMs, this.nodes[delivery.to]!.id);
    }
  }

  /** The machine answers for a process that is gone. */
  #refuse(delivery: Delivery): void {
    if (delivery.type !== 'stream') return;
    this.#breakStream(this.nodes[delivery.from]!, delivery.run, delivery.node, 50);
  }

  #breakStream(from: SimNode, run: number, to: SimNode, inMs: number): void {
    this.#streams.delete(`${from.index}>${to.index}/${run}/${to.run}`);
    this.#agenda.add(this.#nowMs + inMs, { type: 'streamDown', node: from, to: to.index, run });
  }

  #wake(node: SimNode): void {
    if (!node.up) return;
    const atMs = Math.max(node.core!.nextWakeupMs() - node.clockMs, this.#nowMs);
    if (atMs >= node.wakeAtMs) return;
    node.wakeAtMs = atMs;
    this.#agenda.add(atMs, { type: 'wake', node, run: node.run });
  }

  #mix(value: number): void {
    let hash = Math.imul(this.#hash ^ value, 0x01000193);
    hash = Math.imul(hash ^ Math.floor(this.#nowMs * 1_000), 0x85ebca6b);
    this.#hash = hash ^ (hash >>> 15);
  }

  // SimHost

  datagram(node: SimNode, address: string, bytes: Uint8Array): void {
    this.datagrams += 1;
    this.datagramBytes += bytes.length;
    const to = this.#byAddress.get(address);
    if (to === undefined) return;
    const delivery: Delivery = { type: 'datagram', node: to, bytes, from: node.address };
    for (let copies = this.network.duplicates() ? 2 : 1; copies > 0; copies -= 1) {
      const delayMs = this.network.datagramMs(node.index, to.index);
      if (delayMs === undefined) continue;
      this.#agenda.add(this.#nowMs + delayMs, delivery);
    }
  }

  stream(node: SimNode, id: string, channel: number, body: Uint8Array): boolean {
    const to = this.#byId.get(id)!;
    this.streamBytes += body.length;
    const atMs = this.network.streamAtMs(this.#nowMs, node.index, to.index);
    if (atMs === undefined) {
      this.#breakStream(node, node.run, to, this.network.streamBreakMs);
      return true;
    }
    const key = `${node.index}>${to.index}/${node.run}/${to.run}`;
    let delayMs = 0;
    if (!this.#streams.has(key) && to.up) {
      this.#streams.add(key);
      // Connection and key exchange: two round trips before the first message.
      delayMs = 4 * (atMs - this.#nowMs);
      this.#agenda.add(this.#nowMs + delayMs, {
        type: 'script',
        act: () => this.#introduce(node, node.run, to, to.run),
      });
    }
    this.#agenda.add(atMs + delayMs, {
      type: 'stream',
      node: to,
      from: node.index,
      run: node.run,
      toRun: to.run,
      channel,
      body: body.slice(),
    });
    return true;
  }

  #introduce(caller: SimNode, callerRun: number, answerer: SimNode, answererRun: number): void {
    if (!caller.up || !answerer.up) return;
    if (caller.run !== callerRun || answerer.run !== answererRun) return;
    if (caller.stalledUntilMs > this.#nowMs || answerer.stalledUntilMs > this.#nowMs) return;
    answerer.core!.streamUp(answerer.localMs(this.#nowMs), caller.core!.claim(), false);
    caller.core!.streamUp(caller.localMs(this.#nowMs), answerer.core!.claim(), true);
    this.#wake(answerer);
    this.#wake(caller);
  }

  notice(_node: SimNode, notice: MeshNotice): void {
    this.notices.push(notice);
  }

  member(node: SimNode, change: MemberChange, member: Member): void {
    this.#mix(member.incarnation + change.length);
    this.onMember({ atMs: this.#nowMs, observer: node, change, member });
  }

  rumour(node: SimNode, key: string): void {
    this.onRumour(node, key, this.#nowMs);
  }
}
