/**
 * Session records: small values under a key, written by one owner, kept by the key's homes for as
 * long as the owner said, also when the owner dies: that is what they are for. See
 * docs/design/directory.md.
 */
import type { MeshComponent, MeshEvent, Outbox, PeerIndex, PeerTable } from './core.ts';
import type { Homes } from './homes.ts';
import { NO_HOME } from './homes-build.ts';
import { type NodeHash, nodeHash } from './homes-score.ts';
import { Pace } from './pace.ts';
import {
  answer,
  type GotMessage,
  keyBytes,
  precedence,
  readDone,
  readGet,
  readGot,
  readPut,
  readTaken,
  SESSION_VALUE_BYTES_MAX,
  writeDone,
  writeGet,
  writeGot,
  writePut,
  writeTaken,
} from './session-message.ts';
import {
  type LocalSession,
  SESSION_SETTINGS,
  type Session,
  type SessionFound,
  type SessionSettings,
  type SessionsOptions,
  type SessionTaken,
} from './session-settings.ts';
import { type Precedence, SessionStore, supersedes } from './session-store.ts';
import { SessionTellings, type Telling } from './session-tellings.ts';
import type { Get, Own } from './session-work.ts';

export const CHANNEL_SESSION_PUT = 24;
export const CHANNEL_SESSION_DONE = 25;
export const CHANNEL_SESSION_GET = 26;
export const CHANNEL_SESSION_GOT = 27;
export const CHANNEL_SESSION_TAKEN = 28;
/** The answer to that: the same bytes. */
export const CHANNEL_SESSION_HEARD = 29;

const NEVER = Number.POSITIVE_INFINITY;
const VERSION_MAX = 0xffff_ffff;
const TICK_MS = 20;
/** Records looked at per tick. */
const SLICE = 500;
/** A dropped record is remembered this long, so that a late copy cannot bring it back. */
const DROPPED_MS = 30_000;
const RETRY_MS = 100;
const RETRY_MAX_MS = 5_000;
/** A change of the table is seen with the directory's own ticks; without one, this often. */
const IDLE_MS = 2_000;

export class Sessions implements MeshComponent {
  readonly channels: readonly number[] = [24, 25, 26, 27, 28, 29];
  readonly counters: Readonly<Record<string, number>>;
  readonly #settings: SessionSettings;
  readonly #peers: PeerTable;
  readonly #homes: Homes;
  readonly #own = new Map<string, Own>();
  readonly #kept: SessionStore;
  readonly #tellings = new SessionTellings();
  readonly #pace: Pace;
  /** Puts under way by id. */
  readonly #puts = new Map<number, { own: Own; peer: PeerIndex }>();
  readonly #gets = new Map<number, Get>();
  readonly #getByKey = new Map<string, number>();
  /** Raised when a peer's memory or our knowledge of it ends. */
  readonly #lives: number[] = [];
  readonly #names = new Map<string, PeerIndex>();
  readonly #row: Uint16Array;
  readonly #self: NodeHash;
  #lastId = 0;
  #version = -1;
  /** Own records that may lack a home, to be looked at. */
  readonly #dirty = new Set<Own>();
  #tickAtMs = NEVER;
  #sweepAtMs = NEVER;
  #malformed = 0;
  #putsSent = 0;
  #taken = 0;

  constructor(options: SessionsOptions) {
    this.#settings = { ...SESSION_SETTINGS, ...options };
    this.#peers = options.peers;
    this.#homes = options.homes;
    const { keptMax, keptBytesMax, putsPerSecond } = this.#settings;
    this.#kept = new SessionStore(keptMax, keptBytesMax);
    this.#pace = new Pace(putsPerSecond, Math.max(1, putsPerSecond / 20));
    this.#row = new Uint16Array(options.homes.replicas * 2);
    const { self } = options.peers;
    this.#self = nodeHash(options.peers.get(self)!.id);
    this.#names.set(nameOf(this.#self), self);
    this.counters = this.#counters();
  }

  /**
   * Writes a record of this node's, or takes one over.
   * @param ttlMs Its life from now on; writing again renews it.
   * @param above The version it must replace, from {@link get}; default: this node's own last one.
   * @returns its version, or `undefined` when the key, the value or the life is out of bounds or the
   * node owns too many, or when this node keeps a higher version. Whether another home does is told
   * later, by `sessionTaken`.
   */
  put(
    nowMs: number,
    key: string,
    value: Uint8Array,
    ttlMs: number,
    out: Outbox,
    above = 0,
  ): number | undefined {
    if (value.length > SESSION_VALUE_BYTES_MAX || keyBytes(key) === undefined) return undefined;
    if (!(ttlMs > 0 && ttlMs <= this.#settings.ttlMsMax)) return undefined;
    const known = this.#own.get(key);
    if (known === undefined && this.#own.size >= this.#settings.ownMax) return undefined;
    const version = Math.max(above, known?.version ?? 0) + 1;
    if (version > VERSION_MAX) return undefined;
    const kept = this.#kept.get(nowMs, key);
    if (kept !== undefined && supersedes(kept, { version, owner: this.#self })) return undefined;
    this.#write(nowMs, key, new Uint8Array(value), version, nowMs + ttlMs, false, out);
    return version;
  }

  /** What this node has of a record, nobody asked: its own, or what it keeps for the owner. */
  local(nowMs: number, key: string): LocalSession | undefined {
    const own = this.#own.get(key);
    if (own === undefined || nowMs >= own.expiresAtMs) {
      const kept = this.#kept.get(nowMs, key);
      return kept === undefined ? undefined : { ...kept, isOwn: false };
    }
    return { ...own, owner: this.#self, isOwn: true };
  }

  /** Ends a record of this node's before its time. */
  drop(nowMs: number, key: string, out: Outbox): boolean {
    const known = this.#own.get(key);
    if (known === undefined || known.dropped) return false;
    const nothing = new Uint8Array(0);
    this.#write(nowMs, key, nothing, known.version + 1, nowMs + DROPPED_MS, true, out);
    return true;
  }

  /**
   * Reads a record: this node's own, or what its homes have.
   * @returns the record, `null` when there is none, or `undefined` when a `sessionFound` notice
   * follows within `getMs`.
   */
  get(nowMs: number, key: string, out: Outbox): Session | null | undefined {
    const own = this.#own.get(key);
    if (own !== undefined && nowMs < own.expiresAtMs) {
      if (own.dropped) return null;
      const { value, version } = own;
      const ttlMs = own.expiresAtMs - nowMs;
      return { key, value: new Uint8Array(value), version, ttlMs, owner: this.#peers.self };
    }
    if (keyBytes(key) === undefined) return null;
    if (this.#getByKey.has(key)) return undefined;
    const count = this.#homes.homesOf(this.#bucketOf(key), this.#row);
    const waiting = new Set(this.#row.subarray(0, count));
    const atHome = waiting.delete(this.#peers.self);
    const kept = atHome ? this.#kept.get(nowMs, key) : undefined;
    const best = kept === undefined ? undefined : answer(0, nowMs, kept);
    if (waiting.size === 0) return this.#session(key, best) ?? null;
    if (this.#gets.size >= this.#settings.getsMax) return null;
    const id = this.#nextId();
    const untilMs = nowMs + this.#settings.getMs;
    const againAtMs = nowMs + this.#settings.getMs / 3;
    this.#gets.set(id, { key, untilMs, againAtMs, waiting, best });
    this.#getByKey.set(key, id);
    for (const peer of waiting) out.send(peer, CHANNEL_SESSION_GET, writeGet(id, key));
    this.#wakeAt(againAtMs);
    return undefined;
  }

  handle(nowMs: number, event: MeshEvent, out: Outbox): void {
    if (event.type === 'tick') this.#tick(nowMs, out);
    else if (event.type === 'stalled') {
      for (const get of this.#gets.values()) get.untilMs += event.lateMs;
    } else if (event.type === 'frame') {
      if (!this.#frame(nowMs, event.from, event.channel, event.body, out)) this.#malformed++;
    } else if (event.type === 'member') {
      const { change, peer, member } = event;
      if (peer === this.#peers.self) return;
      if (change === 'forgotten' || change === 'run' || change === 'boot') {
        this.#tellings.forget(peer);
      }
      if (change === 'forgotten') this.#names.delete(nameOf(nodeHash(member.id)));
      else if (change === 'joined') this.#names.set(nameOf(nodeHash(member.id)), peer);
      if (change === 'facts' || change === 'suspect') return;
      this.#lives[peer] = (this.#lives[peer] ?? 0) + 1;
      this.#lookAtAll(nowMs);
    }
  }

  nextWakeupMs(): number | undefined {
    const next = Math.min(this.#tickAtMs, this.#sweepAtMs);
    return next === NEVER ? undefined : next;
  }

  #write(
    nowMs: number,
    key: string,
    value: Uint8Array,
    version: number,
    expiresAtMs: number,
    dropped: boolean,
    out: Outbox,
  ): void {
    const before = this.#own.get(key);
    if (before !== undefined) this.#forget(before);
    const bucket = this.#bucketOf(key);
    const lists = { confirmed: new Map(), sent: new Map() };
    const own: Own = { key, bucket, value, version, expiresAtMs, dropped, ...lists };
    this.#own.set(key, own);
    this.#replicate(nowMs, own, out);
  }

  /** Sends a record to the homes that did not confirm it. @returns false when the pace forbids. */
  #replicate(nowMs: number, own: Own, out: Outbox): boolean {
    const { rows, replicas } = this.#homes;
    this.#dirty.delete(own);
    for (const [peer, { id }] of own.sent) {
      if (this.#homes.isHome(peer, own.bucket)) continue;
      own.sent.delete(peer);
      this.#puts.delete(id);
    }
    for (let i = own.bucket * replicas; i < (own.bucket + 1) * replicas; i++) {
      const peer = rows[i]!;
      if (peer === NO_HOME || peer === this.#peers.self) continue;
      if (own.confirmed.get(peer) === (this.#lives[peer] ?? 0)) continue;
      const sent = own.sent.get(peer);
      const waitMs = sent === undefined ? 0 : Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** sent.tries);
      if (sent !== undefined && nowMs < sent.atMs + waitMs) {
        this.#look(own, sent.atMs + waitMs);
        continue;
      }
      if (!this.#pace.take(nowMs, 1)) {
        this.#look(own, nowMs + TICK_MS);
        return false;
      }
      const id = sent?.id ?? this.#nextId();
      const tries = (sent?.tries ?? -1) + 1;
      own.sent.set(peer, { id, atMs: nowMs, tries });
      this.#puts.set(id, { own, peer });
      const { version, dropped, key, value } = own;
      const ttlMs = Math.max(1, Math.round(own.expiresAtMs - nowMs));
      this.#putsSent++;
      const body = writePut({ id, version, ttlMs, dropped, key, value });
      out.send(peer, CHANNEL_SESSION_PUT, body);
      this.#look(own, nowMs + RETRY_MS * 2 ** Math.min(6, tries));
    }
    return true;
  }

  #tick(nowMs: number, out: Outbox): void {
    if (nowMs >= this.#sweepAtMs) this.#sweepAtMs = this.#sweep(nowMs);
    if (this.#version !== this.#homes.version) this.#lookAtAll(nowMs);
    if (nowMs < this.#tickAtMs) return;
    this.#tickAtMs = NEVER;
    let left = SLICE;
    for (const own of [...this.#dirty].slice(0, SLICE)) {
      left--;
      if (nowMs >= own.expiresAtMs) {
        this.#forget(own);
        this.#own.delete(own.key);
      } else if (!this.#replicate(nowMs, own, out)) break;
    }
    if (left === 0) this.#wakeAt(nowMs + 1);
    for (const [id, get] of this.#gets) this.#continue(nowMs, id, get, out);
    this.#wakeAt(this.#tellings.due(nowMs, (telling) => tell(telling, out)));
    if (this.#own.size > 0) this.#wakeAt(nowMs + IDLE_MS);
  }

  #continue(nowMs: number, id: number, get: Get, out: Outbox): void {
    if (nowMs >= get.untilMs || get.waiting.size === 0) {
      this.#gets.delete(id);
      this.#getByKey.delete(get.key);
      const session = this.#session(get.key, get.best);
      const notice: SessionFound = { type: 'sessionFound', key: get.key, session };
      out.notify(notice);
      return;
    }
    if (nowMs >= get.againAtMs) {
      get.againAtMs = nowMs + this.#settings.getMs / 3;
      for (const peer of get.waiting) out.send(peer, CHANNEL_SESSION_GET, writeGet(id, get.key));
    }
    this.#wakeAt(Math.min(get.againAtMs, get.untilMs));
  }

  #frame(nowMs: number, from: PeerIndex, channel: number, body: Uint8Array, out: Outbox): boolean {
    if (channel === CHANNEL_SESSION_PUT) return this.#keep(nowMs, from, body, out);
    if (channel === CHANNEL_SESSION_DONE) return this.#done(from, body, out);
    if (channel === CHANNEL_SESSION_HEARD) {
      const heard = readTaken(body);
      if (heard !== undefined) this.#tellings.heard(from, heard.key, precedence(heard));
      return heard !== undefined;
    }
    if (channel === CHANNEL_SESSION_TAKEN) {
      const taken = readTaken(body);
      if (taken !== undefined) out.send(from, CHANNEL_SESSION_HEARD, body);
      const own = taken === undefined ? undefined : this.#own.get(taken.key);
      if (taken !== undefined && own !== undefined) {
        const mine = { version: own.version, owner: this.#self };
        if (supersedes(precedence(taken), mine)) this.#lose(own, out);
      }
      return taken !== undefined;
    }
    if (channel === CHANNEL_SESSION_GET) {
      const get = readGet(body);
      if (get === undefined) return false;
      const own = this.#own.get(get.key);
      const mine = own === undefined || nowMs >= own.expiresAtMs ? undefined : own;
      const kept = mine === undefined ? this.#kept.get(nowMs, get.key) : undefined;
      const record = mine === undefined ? kept : { ...mine, owner: this.#self };
      out.send(from, CHANNEL_SESSION_GOT, writeGot(answer(get.id, nowMs, record)));
      return true;
    }
    const got = readGot(body);
    if (got === undefined) return false;
    const get = this.#gets.get(got.id);
    if (get?.waiting.delete(from)) {
      const { best } = get;
      if (got.known && (best === undefined || supersedes(precedence(got), precedence(best)))) {
        get.best = got;
      }
      if (get.waiting.size === 0) this.#continue(nowMs, got.id, get, out);
    }
    return true;
  }

  #keep(nowMs: number, from: PeerIndex, body: Uint8Array, out: Outbox): boolean {
    const put = readPut(body);
    const member = this.#peers.get(from);
    if (put === undefined || member === undefined) return false;
    const { key, value, version, dropped } = put;
    const expiresAtMs = nowMs + Math.min(put.ttlMs, this.#settings.ttlMsMax);
    const record = { version, value, dropped, expiresAtMs, owner: nodeHash(member.id) };
    const own = this.#own.get(key);
    const older =
      own !== undefined && supersedes({ version: own.version, owner: this.#self }, record);
    const before = this.#kept.get(nowMs, key);
    const kept = !older && this.#kept.put(nowMs, key, record);
    if (kept && before !== undefined) this.#tellFormer(nowMs, before, from, record, key, out);
    out.send(from, CHANNEL_SESSION_DONE, writeDone(put.id, kept ? 'kept' : 'superseded'));
    if (this.#sweepAtMs === NEVER) this.#sweepAtMs = nowMs + 1_000;
    // Its writer has the session now.
    if (kept && own !== undefined) this.#lose(own, out);
    return true;
  }

  /** The former owner would else learn it only when it writes again. */
  #tellFormer(
    nowMs: number,
    before: Precedence,
    from: PeerIndex,
    { version, owner }: Precedence,
    key: string,
    out: Outbox,
  ): void {
    const former = this.#names.get(nameOf(before.owner));
    if (former === undefined || former === from || former === this.#peers.self) return;
    const telling = { to: former, key, version, owner };
    tell(telling, out);
    this.#wakeAt(this.#tellings.add(nowMs, telling));
  }

  #done(from: PeerIndex, body: Uint8Array, out: Outbox): boolean {
    const done = readDone(body);
    if (done === undefined) return false;
    const put = this.#puts.get(done.id);
    if (put === undefined || put.peer !== from) return true;
    const { own } = put;
    this.#puts.delete(done.id);
    own.sent.delete(from);
    if (done.outcome === 'superseded') this.#lose(own, out);
    else own.confirmed.set(from, this.#lives[from] ?? 0);
    return true;
  }

  #lose(own: Own, out: Outbox): void {
    if (this.#own.get(own.key) !== own) return;
    this.#forget(own);
    this.#own.delete(own.key);
    this.#taken++;
    const notice: SessionTaken = { type: 'sessionTaken', key: own.key };
    if (!own.dropped) out.notify(notice);
  }

  /** Stops sending this version. */
  #forget(own: Own): void {
    for (const { id } of own.sent.values()) this.#puts.delete(id);
    this.#dirty.delete(own);
  }

  #lookAtAll(nowMs: number): void {
    this.#version = this.#homes.version;
    for (const own of this.#own.values()) this.#dirty.add(own);
    if (this.#own.size > 0) this.#wakeAt(nowMs);
  }

  #look(own: Own, atMs: number): void {
    this.#dirty.add(own);
    this.#wakeAt(atMs);
  }

  #sweep(nowMs: number): number {
    this.#kept.sweep(nowMs, SLICE);
    for (const own of this.#own.values()) if (nowMs >= own.expiresAtMs) this.#dirty.add(own);
    if (this.#dirty.size > 0) this.#wakeAt(nowMs);
    return this.#kept.size > 0 || this.#own.size > 0 ? nowMs + 1_000 : NEVER;
  }

  #session(key: string, got: GotMessage | undefined): Session | undefined {
    if (got === undefined || !got.known || got.dropped) return undefined;
    const { value, version, ttlMs } = got;
    return { key, value, version, ttlMs, owner: this.#names.get(nameOf(got)) };
  }

  #bucketOf(key: string): number {
    return nodeHash(key).low & (this.#homes.buckets - 1);
  }

  #nextId(): number {
    this.#lastId = (this.#lastId + 1) >>> 0;
    return this.#lastId;
  }

  #wakeAt(atMs: number): void {
    if (atMs === NEVER) return;
    if (atMs < this.#tickAtMs) this.#tickAtMs = atMs;
    if (this.#sweepAtMs === NEVER) this.#sweepAtMs = atMs + 1_000;
  }

  #counters(): Readonly<Record<string, number>> {
    const own = this.#own;
    const kept = this.#kept;
    const tellings = this.#tellings;
    const malformed = (): number => this.#malformed;
    const putsSent = (): number => this.#putsSent;
    const taken = (): number => this.#taken;
    return {
      get sessionsOwned() {
        return own.size;
      },
      get sessionsKept() {
        return kept.size;
      },
      get sessionBytesKept() {
        return kept.bytes;
      },
      get sessionsEvicted() {
        return kept.evicted;
      },
      get sessionPutsSent() {
        return putsSent();
      },
      get sessionTellings() {
        return tellings.size;
      },
      get sessionsTaken() {
        return taken();
      },
      get sessionBodiesMalformed() {
        return malformed();
      },
    };
  }
}

function tell({ to, key, version, owner: { low, high } }: Telling, out: Outbox): void {
  out.send(to, CHANNEL_SESSION_TAKEN, writeTaken({ version, low, high, key }));
}

function nameOf({ low, high }: NodeHash): string {
  return `${low}:${high}`;
}
