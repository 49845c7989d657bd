import { readU32 } from '../proto/envelope.ts';
import { decodeKeyState, encodeKeyState, TICKET_SECRET_BYTES } from '../proto/key-state.ts';
import type { CipherSuite } from './cipher-suite.ts';
import type { Channel, MeshComponent, MeshEvent, Outbox, PeerIndex, PeerTable } from './core.ts';
import { clusterKeyId, type Keyring, type KeyringAnswer } from './keyring.ts';
import type { Random } from './random.ts';
import { type Epoch, TicketEpochs } from './ticket-epochs.ts';

/** The whole state. */
export const CHANNEL_KEY_STATE = 32;
/** Four bytes of hash over the state: "tell me if yours differs". */
export const CHANNEL_KEY_DIGEST = 33;

export interface KeyStoreSettings {
  /** A TLS ticket key is replaced after this. Default 6 hours. */
  readonly ticketKeyMs: number;
  /** A new TLS ticket key is known this long before it comes into use. Default 30,000. */
  readonly ticketKeyLeadMs: number;
  /** From one comparison with a random node to the next. Default 5,000. */
  readonly compareIntervalMs: number;
  /** A node younger than this makes no keys: others may have some. Default 3,000. */
  readonly settleMs: number;
}

export const KEY_STORE_DEFAULTS: KeyStoreSettings = {
  ticketKeyMs: 6 * 3_600_000,
  ticketKeyLeadMs: 30_000,
  compareIntervalMs: 5_000,
  settleMs: 3_000,
};

/** The cluster keys or their use changed: keep them where the next start finds them. */
export interface ClusterKeysNotice {
  readonly type: 'clusterKeys';
}

/**
 * Give these to every TLS server of this node, say by `Edge.setTicketKeys`: the first seals new
 * session tickets, tickets under any of them may be opened. The key to come is among them.
 */
export interface TicketKeysNotice {
  readonly type: 'ticketKeys';
  /** Number of the key that seals. */
  readonly epoch: number;
  /** 48 bytes each. */
  readonly secrets: readonly Uint8Array[];
}

/** What outlives the process; see {@link StoredRing}. */
export interface KeyStoreState {
  readonly useVersion: number;
  readonly retired: readonly number[];
}

/** How {@link KeyStore.renewTicketKey} ended. `pending`: the next key is on its way already. */
export type TicketKeyRenewal = 'done' | 'pending';

const RETIRED_MAX = 32;
/** After a change the state is sent to this many nodes, this many times. */
const SPREAD_FANOUT = 4;
const SPREAD_ROUNDS = 4;
const SPREAD_GAP_MS = 60;

/**
 * Keys for all nodes, over the wire: a small state that every node merges (sets that only grow, one
 * register with a version), told to some at each change, compared with a random node now and then.
 * TLS ticket keys are made by the live node whose id sorts first; if two do so in a split mesh, one
 * of the two keys wins everywhere after the split. A new ticket key is told first and used
 * `ticketKeyLeadMs` later; who knows it opens its tickets from that moment on. So no ticket meets a
 * node that lacks its key, unless that node was cut off for the whole lead.
 */
export class KeyStore implements MeshComponent {
  readonly channels: readonly Channel[] = [CHANNEL_KEY_STATE, CHANNEL_KEY_DIGEST];
  readonly counters = {
    keyStatesMalformed: 0,
    keyChanges: 0,
    ticketKeysMade: 0,
    ticketKeyEpoch: 0,
  };
  readonly #peers: PeerTable;
  readonly #keyring: Keyring;
  readonly #suite: CipherSuite;
  readonly #random: Random;
  readonly #settings: KeyStoreSettings;
  readonly #epochs = new TicketEpochs();
  readonly #retired: number[] = [];
  readonly #startMs: number;
  #useVersion = 0;
  #compareAtMs: number;
  #spreadAtMs = Number.POSITIVE_INFINITY;
  #spreadRounds = 0;
  #activationMs = Number.POSITIVE_INFINITY;
  /** As last told to the application: the one that seals first. */
  #serving: readonly Epoch[] = [];

  /** @param state Of an earlier process. */
  constructor(
    nowMs: number,
    peers: PeerTable,
    keyring: Keyring,
    suite: CipherSuite,
    random: Random,
    settings: KeyStoreSettings = KEY_STORE_DEFAULTS,
    state: KeyStoreState = { useVersion: 0, retired: [] },
  ) {
    this.#peers = peers;
    this.#keyring = keyring;
    this.#suite = suite;
    this.#random = random;
    this.#settings = settings;
    this.#startMs = nowMs;
    this.#useVersion = state.useVersion;
    this.#retired.push(...state.retired.slice(-RETIRED_MAX));
    this.#compareAtMs = nowMs + random.float() * settings.compareIntervalMs;
  }

  get epochs(): TicketEpochs {
    return this.#epochs;
  }

  /** What the next process of this node must know, besides the keys of the keyring. */
  get state(): KeyStoreState {
    return { useVersion: this.#useVersion, retired: [...this.#retired] };
  }

  /** Adds a cluster key on every node. Nobody uses it yet. */
  add(nowMs: number, secret: Uint8Array, out: Outbox): KeyringAnswer | 'retired' {
    if (secret.length === 32 && this.#retired.includes(clusterKeyId(this.#suite, secret))) {
      return 'retired';
    }
    return this.#done(nowMs, this.#keyring.add(secret), out);
  }

  /** Makes every node use that key for new key exchanges. All must have it by now. */
  use(nowMs: number, id: number, out: Outbox): KeyringAnswer {
    const answer = this.#keyring.use(id);
    if (answer === 'done') this.#useVersion += 1;
    return this.#done(nowMs, answer, out);
  }

  /** Removes a key from every node, for ever. */
  retire(nowMs: number, id: number, out: Outbox): KeyringAnswer {
    const answer = this.#keyring.retire(id);
    if (answer === 'done') this.#bury(id);
    return this.#done(nowMs, answer, out);
  }

  /** Makes a new TLS ticket key before its time, on all nodes; it seals after the usual lead. */
  renewTicketKey(nowMs: number, out: Outbox): TicketKeyRenewal {
    if (Number.isFinite(this.#epochs.nextActivationMs(nowMs))) return 'pending';
    this.#makeEpoch(nowMs, out);
    return 'done';
  }

  handle(nowMs: number, event: MeshEvent, out: Outbox): void {
    if (event.type === 'tick') this.#tick(nowMs, out);
    else if (event.type === 'frame') this.#frame(nowMs, event.from, event.channel, event.body, out);
    else if (event.type === 'member' && event.change === 'joined' && this.#compareAtMs > nowMs) {
      // Company at last: find out what they have.
      this.#compareAtMs = Math.min(this.#compareAtMs, nowMs + 50 + this.#random.float() * 200);
    }
  }

  nextWakeupMs(): number {
    return Math.min(this.#compareAtMs, this.#spreadAtMs, this.#activationMs);
  }

  #tick(nowMs: number, out: Outbox): void {
    if (nowMs >= this.#activationMs) this.#serve(nowMs, out);
    if (nowMs >= this.#spreadAtMs) {
      this.#spreadRounds -= 1;
      this.#spreadAtMs = this.#spreadRounds > 0 ? nowMs + SPREAD_GAP_MS : Number.POSITIVE_INFINITY;
      const state = this.#encode(nowMs);
      for (let i = 0; i < SPREAD_FANOUT; i += 1) this.#sendToAny(CHANNEL_KEY_STATE, state, out);
    }
    if (nowMs < this.#compareAtMs) return;
    this.#compareAtMs = nowMs + this.#settings.compareIntervalMs * this.#random.between(0.8, 1.2);
    this.#makeTicketKey(nowMs, out);
    this.#sendToAny(CHANNEL_KEY_DIGEST, this.#digest(), out);
  }

  #frame(nowMs: number, from: PeerIndex, channel: Channel, body: Uint8Array, out: Outbox): void {
    if (channel === CHANNEL_KEY_DIGEST) {
      const digest = this.#digest();
      if (body.length !== 4) this.counters.keyStatesMalformed += 1;
      else if (readU32(body, 0) !== readU32(digest, 0)) {
        out.send(from, CHANNEL_KEY_STATE, this.#encode(nowMs));
      }
      return;
    }
    const changed = this.#merge(nowMs, body, out);
    // It told us less than we know: that node, at least, should know all.
    if (changed === 'behind') out.send(from, CHANNEL_KEY_STATE, this.#encode(nowMs));
    else if (changed === 'changed') this.#changed(nowMs);
  }

  /** @returns `behind` when the sender lacks something that is known here. */
  #merge(nowMs: number, body: Uint8Array, out: Outbox): 'changed' | 'same' | 'behind' {
    const state = decodeKeyState(body);
    if (state === undefined) {
      this.counters.keyStatesMalformed += 1;
      return 'same';
    }
    const generation = this.#keyring.generation;
    const useVersion = this.#useVersion;
    const buried = this.#retired.length;
    let isChanged = false;
    for (const secret of state.secrets) {
      if (!this.#retired.includes(clusterKeyId(this.#suite, secret))) this.#keyring.add(secret);
    }
    const isNewerUse =
      state.useVersion > this.#useVersion ||
      (state.useVersion === this.#useVersion && state.used > this.#keyring.used.id);
    if (isNewerUse && state.useVersion > 0 && this.#keyring.get(state.used) !== undefined) {
      this.#keyring.use(state.used);
      this.#useVersion = state.useVersion;
      isChanged = true;
    }
    for (const id of state.retired) {
      if (this.#retired.includes(id) || this.#keyring.retire(id) === 'inUse') continue;
      this.#bury(id);
    }
    for (const epoch of state.epochs) if (this.#epochs.merge(nowMs, epoch)) isChanged = true;
    const isUsedAnew = this.#useVersion !== useVersion;
    if (this.#keyring.generation !== generation || isUsedAnew || this.#retired.length !== buried) {
      isChanged = true;
      out.notify({ type: 'clusterKeys' } satisfies ClusterKeysNotice);
    }
    this.#serve(nowMs, out);
    if (isChanged) return 'changed';
    return this.#knowsMore(state.secrets.length, state.useVersion, state.retired, state.epochs)
      ? 'behind'
      : 'same';
  }

  #knowsMore(
    secrets: number,
    useVersion: number,
    retired: readonly number[],
    epochs: readonly { number: number }[],
  ): boolean {
    return (
      this.#keyring.keys().length > secrets ||
      this.#useVersion > useVersion ||
      this.#retired.some((id) => !retired.includes(id)) ||
      (this.#epochs.newest?.number ?? 0) > (epochs.at(-1)?.number ?? 0)
    );
  }

  #done<T extends KeyringAnswer>(nowMs: number, answer: T, out: Outbox): T {
    if (answer === 'done') {
      out.notify({ type: 'clusterKeys' } satisfies ClusterKeysNotice);
      this.#changed(nowMs);
    }
    return answer;
  }

  #changed(nowMs: number): void {
    this.counters.keyChanges += 1;
    this.#spreadRounds = SPREAD_ROUNDS;
    this.#spreadAtMs = nowMs;
  }

  #bury(id: number): void {
    this.#retired.push(id);
    if (this.#retired.length > RETIRED_MAX) this.#retired.shift();
  }

  #makeTicketKey(nowMs: number, out: Outbox): void {
    if (nowMs - this.#startMs < this.#settings.settleMs || !this.#isFirst()) return;
    const newest = this.#epochs.newest;
    if (newest !== undefined && nowMs - newest.madeAtMs < this.#settings.ticketKeyMs) return;
    this.#makeEpoch(nowMs, out);
  }

  #makeEpoch(nowMs: number, out: Outbox): void {
    const { newest } = this.#epochs;
    this.#epochs.merge(nowMs, {
      number: (newest?.number ?? 0) + 1,
      secret: this.#suite.randomBytes(TICKET_SECRET_BYTES),
      ageMs: 0,
      // The very first serves at once: there is nothing to change over from.
      pendingMs: newest === undefined ? 0 : this.#settings.ticketKeyLeadMs,
    });
    this.counters.ticketKeysMade += 1;
    this.#serve(nowMs, out);
    this.#changed(nowMs);
  }

  /** Whether this node's id sorts first among the live ones: it makes the ticket keys. */
  #isFirst(): boolean {
    const own = this.#peers.get(this.#peers.self)!;
    if (own.status !== 'alive') return false;
    return this.#peers.indices().every((peer) => {
      const member = this.#peers.get(peer)!;
      return member.status !== 'alive' || member.id >= own.id;
    });
  }

  #serve(nowMs: number, out: Outbox): void {
    this.#activationMs = this.#epochs.nextActivationMs(nowMs);
    const current = this.#epochs.current(nowMs);
    if (current === undefined) return;
    const others = this.#epochs.all.filter((epoch) => epoch !== current).reverse();
    const serving = [current, ...others];
    if (isSameList(serving, this.#serving)) return;
    this.#serving = serving;
    this.counters.ticketKeyEpoch = current.number;
    const secrets = serving.map(({ secret }) => secret);
    const notice: TicketKeysNotice = { type: 'ticketKeys', epoch: current.number, secrets };
    out.notify(notice);
  }

  #sendToAny(channel: Channel, body: Uint8Array, out: Outbox): void {
    const peers = this.#peers.indices();
    for (let tries = 0; tries < 8; tries += 1) {
      if (out.send(peers[this.#random.below(peers.length)]!, channel, body)) return;
    }
  }

  #encode(nowMs: number): Uint8Array {
    return encodeKeyState({
      secrets: this.#keyring.keys().map((key) => key.secret),
      used: this.#keyring.used.id,
      useVersion: this.#useVersion,
      retired: this.#retired,
      epochs: this.#epochs.records(nowMs),
    });
  }

  /** Over everything but times, in an order that does not depend on history. */
  #digest(): Uint8Array {
    const byId = this.#keyring.keys().toSorted((a, b) => a.id - b.id);
    const state = encodeKeyState({
      secrets: byId.map((key) => key.secret),
      used: this.#useVersion === 0 ? 0 : this.#keyring.used.id,
      useVersion: this.#useVersion,
      retired: this.#retired.toSorted((a, b) => a - b),
      epochs: this.#epochs
        .records(0)
        .map(({ number, secret }) => ({ number, secret, ageMs: 0, pendingMs: 0 })),
    });
    return this.#suite.hash([state]).subarray(0, 4);
  }
}

function isSameList(a: readonly Epoch[], b: readonly Epoch[]): boolean {
  return a.length === b.length && a.every((epoch, i) => epoch === b[i]);
}
