/** Makes happen what a scenario asks for, keeps what was done, and puts everything back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from './clock.ts';
import { NetworkFaults } from './faults/network-faults.ts';
import { killAll, powerOff, powerOn } from './faults/power.ts';
import { type Flood, forgetNobody, startFlood } from './flood/flood.ts';
import { type HealingDriver, sumCounters } from './healing/healing.ts';
import type { Lab } from './lab.ts';
import { Maintenance } from './maintenance.ts';
import type { AnnouncementCount } from './measure/announcements.ts';
import type { CrashRecord, FlipRecord, FloodRecord, StepRecord } from './measure/record.ts';
import type { RunObserver } from './observer.ts';
import { AnnouncementLog } from './route/announcement-log.ts';
import type { Announcement } from './route/announcements.ts';
import type { FlipMethod } from './route/control.ts';
import { RouteMover } from './route/mover.ts';
import { RouteWatch } from './route/watch.ts';
import { rankOf, type ScenarioAction, type SplitBy } from './scenarios/scenario.ts';
import type { PopPlan } from './topology.ts';

export interface StageOptions {
  readonly healing: HealingDriver;
  readonly flip: FlipMethod;
  readonly seed: number;
  readonly observer: RunObserver;
  readonly signal?: AbortSignal | undefined;
}

/** More flips than these are told of in tens. */
const FLIPS_TOLD = 5;
/** How long a killed agent stays away. */
const AGENT_AWAY_MS = 500;
/** How long nodes may take until the best of them has the route. */
const TAKE_OVER_MS = 30_000;

const SPLITS: Readonly<Record<SplitBy, string>> = {
  packet: 'every packet goes to a PoP by chance',
  syn: 'SYNs go to the best PoP, other packets to the next one',
  ttl: 'the router picks the PoP by TTL',
  ecn: 'the router picks the PoP by the ECN bits',
  errors: 'ICMP errors go to the next PoP',
};

/** What PoPs say to the router, and in words. */
const ANNOUNCEMENTS: Readonly<Record<'withdraw' | 'announce' | 'drain', [Announcement, string]>> = {
  withdraw: ['none', 'stops announcing'],
  announce: ['full', 'announces again'],
  drain: ['worse', 'announces worse, as before maintenance'],
};

const round = (ms: number) => Math.round(ms * 1_000) / 1_000;

export class Stage {
  readonly #flips: FlipRecord[] = [];
  readonly steps: StepRecord[] = [];
  readonly crashes: CrashRecord[] = [];
  readonly #lab: Lab;
  readonly #options: StageOptions;
  readonly #mover: RouteMover;
  readonly #faults: NetworkFaults;
  #beganAtMs: number | undefined;
  #flood: Flood | undefined;
  #floodRecord: FloodRecord | undefined;
  #relayedBeforeFlood = 0;
  readonly #maintenance: Maintenance;
  readonly #announcementLog: AnnouncementLog | undefined;
  #announcements: readonly AnnouncementCount[] = [];
  /** While holdfast announces; else the lab moves the route. */
  #watch: RouteWatch | undefined;

  constructor(lab: Lab, options: StageOptions) {
    this.#lab = lab;
    this.#options = options;
    this.#mover = new RouteMover(lab, options.flip, options.signal);
    this.#faults = new NetworkFaults(lab);
    this.#maintenance = new Maintenance(lab, options.healing, options.signal);
    const { announcing = 'lab' } = lab.options;
    if (announcing !== 'lab') this.#announcementLog = new AnnouncementLog(lab);
  }

  /** Every move of the route, in order. */
  get flips(): readonly FlipRecord[] {
    return this.#watch?.moves ?? this.#flips;
  }

  /** Of each PoP during the run; empty where nobody counted. */
  get announcements(): readonly AnnouncementCount[] {
    return this.#announcements;
  }

  /** The PoP to which the router was last seen to send the VIP's packets. */
  get routeTo(): PopPlan {
    return this.#watch?.current ?? this.#mover.current;
  }

  get flood(): FloodRecord | undefined {
    return this.#floodRecord;
  }

  /** The network as it was built, whatever an earlier run has done to it. */
  async clear(): Promise<void> {
    if (this.#lab.disturbed) {
      await this.#faults.clear();
      await forgetNobody(this.#lab);
      await this.#maintenance.clear();
      this.#lab.disturbed = false;
    }
    for (const pop of [...this.#lab.crashed]) {
      this.#options.observer.step(`switching ${pop.name} on again`);
      await powerOn(this.#lab, pop);
      this.#lab.crashed.delete(pop);
    }
    await this.#mover.restore();
  }

  /**
   * Starts the agents. Where holdfast announces, the lab's own announcements end before, and the
   * route is at the best PoP again when this resolves.
   */
  async startHealing(): Promise<void> {
    const { healing, observer, signal } = this.#options;
    const { topology, options } = this.#lab;
    const announces = healing.mode === 'on' && (options.announcing ?? 'lab') !== 'lab';
    if (announces) await this.#lab.fallSilent();
    await Promise.all(topology.pops.map((pop) => healing.start(this.#lab, pop)));
    if (!announces) return;
    const [best] = topology.pops;
    this.#watch = new RouteWatch(this.#lab, ({ from, to, atMs, convergenceMs }) => {
      observer.event(atMs + convergenceMs, `the route moves from ${from} to ${to}`);
    });
    observer.step('waiting for the route that holdfast announces');
    await this.#watch.until(`come to ${best?.name}`, TAKE_OVER_MS, (at) => at === best, signal);
  }

  /** From now on times are counted: all clients run. */
  begin(atMs: number): void {
    this.#beganAtMs = atMs;
    this.#watch?.begin(() => this.#nowMs());
    this.#announcementLog?.begin();
  }

  async perform(action: ScenarioAction): Promise<void> {
    if (action.do === 'flip') {
      await this.#flip(this.#popFor(action.to));
      return;
    }
    const atMs = this.#nowMs();
    this.#lab.disturbed = true;
    this.#watch?.commanded(atMs);
    const text = await this.#disturb(action);
    this.steps.push({ atMs: round(atMs), type: action.do, text });
    this.#options.observer.event(atMs, text);
  }

  /** The flood is over, and the route is where it was put. */
  async finish(): Promise<void> {
    await this.#flood?.finished;
    await this.#countFlood();
    this.#announcements = (await this.#announcementLog?.end()) ?? [];
    if (this.#watch === undefined) await this.#mover.requireStill();
    else await this.#watch.end();
  }

  close(): void {
    this.#flood?.stop();
    this.#mover.close();
    void this.#announcementLog?.end().catch(() => undefined);
    void this.#watch?.end().catch(() => undefined);
  }

  #nowMs(): number {
    return this.#beganAtMs === undefined ? 0 : monotonicMs() - this.#beganAtMs;
  }

  #popFor(word: Extract<ScenarioAction, { do: 'flip' }>['to']): PopPlan {
    const { pops } = this.#lab.topology;
    if (word === 'next') return pops[(this.routeTo.rank + 1) % pops.length]!;
    return pops[word === 'best' ? 0 : rankOf(word)]!;
  }

  async #flip(to: PopPlan): Promise<void> {
    const { observer } = this.#options;
    await this.#countFlood();
    const from = this.routeTo;
    const atMs = this.#nowMs();
    const told = this.flips.length < FLIPS_TOLD;
    if (told) observer.event(atMs, this.#mover.describe(to));
    const convergenceMs = await this.#mover.moveTo(to);
    this.#flips.push({ atMs: round(atMs), from: from.name, to: to.name, convergenceMs });
    const count = this.flips.length;
    if (told) observer.event(atMs + convergenceMs, `the route points to ${to.name}`);
    else if (count % 10 === 0) observer.event(atMs, `the route has moved ${count} times`);
  }

  /** Does it and says what was done. */
  async #disturb(action: Exclude<ScenarioAction, { do: 'flip' }>): Promise<string> {
    const letter = 'pop' in action ? action.pop : undefined;
    const pop = letter === undefined ? undefined : this.#lab.topology.pops[rankOf(letter)]!;
    switch (action.do) {
      case 'withdraw':
      case 'announce':
      case 'drain':
        return this.#watch === undefined
          ? await this.#announce(pop!, ...ANNOUNCEMENTS[action.do])
          : await this.#maintenance.command(action, this.#watch);
      case 'upgrade':
      case 'origin-down':
      case 'origin-up':
      case 'kill-agent':
      case 'await-route':
        return await this.#maintenance.perform(action, this.#watch);
      case 'split':
        await this.#faults.split(action);
        return action.percent === undefined
          ? SPLITS[action.by]
          : `${action.percent} % of packets go to another PoP than the best`;
      case 'join':
        await this.#faults.join();
        return 'packets follow the route again';
      case 'delay': {
        // A way between two PoPs crosses two of the backbone's cables.
        const delayMs = action.where === 'backbone' ? action.ms / 2 : action.ms;
        await this.#faults.stretch(action.where, { delayMs });
        const between = action.where === 'backbone' ? 'any two PoPs' : 'clients and router';
        return `${action.ms} ms each way between ${between}`;
      }
      case 'loss':
        await this.#faults.stretch('clients', { lossPercent: action.percent });
        return `${action.percent} % of frames between clients and router are lost`;
      case 'mtu':
        await this.#faults.setClientMtu(action.bytes);
        return `the link to the clients carries ${action.bytes} bytes`;
      case 'mesh-loss':
        await this.#faults.loseMesh(action.percent);
        return `${action.percent} % of the mesh’s packets are lost`;
      case 'partition':
        await this.#faults.cutOff(pop!.rank);
        return `${pop?.name} is cut off from the other PoPs`;
      case 'mend':
        await this.#faults.mendBackbone();
        return 'the backbone is whole again';
      case 'crash':
        return await this.#crash(pop!, action.quietly === true);
      case 'kill':
        this.#died(pop!, await killAll(this.#lab, pop!));
        return `everything on ${pop?.name} is killed but its kernel and BIRD`;
      case 'restart-agent':
        await this.#options.healing.kill(this.#lab, pop!);
        await sleep(AGENT_AWAY_MS);
        await this.#options.healing.start(this.#lab, pop!);
        return this.#options.healing.mode === 'on'
          ? `the agent of ${pop?.name} was killed and is back`
          : `there is no agent on ${pop?.name} to restart`;
      case 'flood': {
        this.#relayedBeforeFlood = await this.#relayed();
        const { seed } = this.#options;
        this.#flood = await startFlood(this.#lab, { ...action, seed });
        return `a flood of ${action.packetsPerS} ${action.segment.toUpperCase()} segments/s begins`;
      }
    }
  }

  async #announce(pop: PopPlan, what: Announcement, words: string): Promise<string> {
    const from = this.routeTo;
    const atMs = round(this.#nowMs());
    const moved = await this.#mover.announce(pop, what);
    if (moved === undefined) return `${pop.name} ${words}`;
    const { to, convergenceMs } = moved;
    this.#flips.push({ atMs, from: from.name, to: to.name, convergenceMs });
    return `${pop.name} ${words}: the route points to ${to.name}`;
  }

  /** Nobody answers there for the rest of the run. @param atMs On the clock of the sessions. */
  #died(pop: PopPlan, atMs: number): void {
    this.#lab.crashed.add(pop);
    this.crashes.push({ atMs: round(atMs - (this.#beganAtMs ?? atMs)), pop: pop.name });
  }

  async #crash(pop: PopPlan, quietly: boolean): Promise<string> {
    const atMs = this.#nowMs();
    this.#died(pop, await powerOff(this.#lab, pop, quietly));
    if (this.#watch === undefined && this.routeTo === pop) {
      const next = this.#lab.topology.pops.find((other) => !this.#lab.crashed.has(other))!;
      const tookMs = await this.#mover.arriveAt(next);
      const convergenceMs = round(this.#nowMs() - atMs);
      this.#flips.push({ atMs: round(atMs), from: pop.name, to: next.name, convergenceMs });
      this.#options.observer.event(atMs + tookMs, `the route points to ${next.name}`);
    }
    return `${pop.name} dies`;
  }

  async #relayed(): Promise<number> {
    const { healing } = this.#options;
    const { pops } = this.#lab.topology;
    const counters = await Promise.all(pops.map((pop) => healing.counters(this.#lab, pop)));
    return sumCounters(counters).relayedPackets;
  }

  /**
   * What a flood alone makes the PoPs relay is counted until the first flip or its own end: after
   * a flip live sessions are relayed too.
   */
  async #countFlood(): Promise<void> {
    const flood = this.#flood;
    if (flood === undefined) return;
    const { sent, failed } = flood.news;
    const relayed = (await this.#relayed()) - this.#relayedBeforeFlood;
    const counted = this.#floodRecord?.counted ?? { sent, relayed };
    const { segment, packetsPerS } = flood.plan;
    this.#floodRecord = { segment, packetsPerS, sent, failed, counted };
  }
}
