/**
 * Finds the owner of a flow whose packet arrived here although nothing here knows it: asks the
 * homes, then every other node. What comes back is a hint; the owner's kernel has the last word.
 */

import { type FlowKey, KEY_WORDS } from '../../proto/ticket-key.ts';
import {
  ANSWER_BYTES,
  type Answer,
  ASK_BYTES_MAX,
  readAnswers,
  readAsks,
  writeAnswer,
  writeAsk,
} from '../../proto/ticket-query.ts';
import { FRAME_BYTES_MAX, type Outbox, type PeerIndex, type PeerTable } from '../core.ts';
import type { Homes } from '../homes.ts';
import { nodeHash } from '../homes-score.ts';
import { Pace } from '../pace.ts';
import type { TicketStore } from '../ticket-store.ts';
import type { Tenure } from '../ticket-tenure.ts';
import { CHANNEL_ANSWER, CHANNEL_ASK } from './channels.ts';
import type { DirectoryOptions, DirectorySettings } from './settings.ts';

const NEVER = Number.POSITIVE_INFINITY;
/** Questions wait this long for others to the same node. */
const GATHER_MS = 1;
/** An unanswered round is over after this, or two measured round trips, whichever is longer. */
const ROUND_MS = 50;
const ROUND_MAX_MS = 200;
/** A node that just accepted a flow may not have entered its ticket yet: ask everybody twice. */
const SEARCHES = 2;

/**
 * - `owner`: that node has, or lately had, the socket.
 * - `self`: this node's own ticket says that it is the owner.
 * - `dead`: the owner is known and gone; a reset is the truth.
 * - `unknown`: no home and no node knows the flow, or none answered in time.
 * - `refused`: too many searches under way; treat it like a flow that was never healed.
 */
export type FindOutcome =
  | { readonly outcome: 'owner' | 'dead'; readonly owner: PeerIndex }
  | { readonly outcome: 'self' | 'unknown' | 'refused' };

/** The end of a find that was not answered at once. */
export interface FlowFound {
  readonly type: 'flowFound';
  readonly key: FlowKey;
  readonly bucket: number;
  readonly found: FindOutcome;
}

interface Find {
  readonly id: number;
  readonly key: FlowKey;
  readonly bucket: number;
  /** A node that said it is not the owner; -1 for none. */
  readonly except: PeerIndex;
  untilMs: number;
  roundEndsMs: number;
  /** 0 while the homes are asked, then the number of the search round. */
  round: number;
  /** Asked and silent so far. */
  readonly waiting: Set<PeerIndex>;
}

export class Finder {
  readonly #store: TicketStore;
  readonly #homes: Homes;
  readonly #peers: PeerTable;
  readonly #settings: DirectorySettings;
  readonly #ownsFlow: (key: FlowKey) => boolean;
  readonly #searches: Pace;
  readonly #finds = new Map<number, Find>();
  /** The same by key. */
  readonly #byKey = new Map<string, Find>();
  readonly #questions = new Map<PeerIndex, Find[]>();
  readonly #names = new Map<string, PeerIndex>();
  readonly #body = new Uint8Array(FRAME_BYTES_MAX);
  readonly #answers = new Uint8Array(FRAME_BYTES_MAX);
  readonly #row: Uint16Array;
  readonly #owners: Tenure[] = [];
  #out: Outbox | undefined;
  #lastId = 0;
  #askAtMs = NEVER;
  #dueMs = NEVER;
  #asked = 0;
  #searched = 0;
  #refused = 0;
  #malformed = 0;
  #answered = 0;

  constructor(
    store: TicketStore,
    homes: Homes,
    settings: DirectorySettings,
    options: DirectoryOptions,
  ) {
    this.#store = store;
    this.#homes = homes;
    this.#peers = options.peers;
    this.#settings = settings;
    this.#ownsFlow = options.ownsFlow ?? (() => false);
    this.#searches = new Pace(settings.searchPerSecond, settings.searchPerSecond);
    this.#row = new Uint16Array(homes.replicas * 2);
  }

  /** Finds under way. */
  get pending(): number {
    return this.#finds.size;
  }

  /** Questions sent. */
  get asked(): number {
    return this.#asked;
  }

  /** Questions of others answered. */
  get answered(): number {
    return this.#answered;
  }

  /** Flows that the homes did not know, so that every node was asked. */
  get searched(): number {
    return this.#searched;
  }

  get refused(): number {
    return this.#refused;
  }

  get malformed(): number {
    return this.#malformed;
  }

  bind(out: Outbox): void {
    this.#out = out;
  }

  /** Keeps the names by which others speak of owners. */
  known(peer: PeerIndex, id: string): void {
    const { low, high } = nodeHash(id);
    this.#names.set(`${low}:${high}`, peer);
  }

  forget(peer: PeerIndex, id: string): void {
    const { low, high } = nodeHash(id);
    this.#names.delete(`${low}:${high}`);
    for (const find of this.#finds.values()) find.waiting.delete(peer);
    this.#questions.delete(peer);
  }

  /**
   * Answers from this node's own tickets, or starts to ask.
   * @param except A node that already said it is not the owner; -1 for none.
   * @returns `undefined` when the outcome will come as a `flowFound` notice, within `graceMs`.
   */
  find(
    nowMs: number,
    bucket: number,
    key: FlowKey,
    except: PeerIndex = -1,
  ): FindOutcome | undefined {
    const local = this.#local(key, except);
    if (local !== undefined) return local;
    const name = nameOf(key);
    if (this.#byKey.has(name)) return undefined;
    if (this.#finds.size >= this.#settings.findsMax) {
      this.#refused++;
      return { outcome: 'refused' };
    }
    this.#lastId = (this.#lastId + 1) >>> 0;
    const find: Find = {
      id: this.#lastId,
      key: key.slice(),
      bucket,
      except,
      untilMs: nowMs + this.#settings.graceMs,
      roundEndsMs: nowMs,
      round: 0,
      waiting: new Set(),
    };
    this.#finds.set(find.id, find);
    this.#byKey.set(name, find);
    const count = this.#homes.homesOf(bucket, this.#row);
    for (let i = 0; i < count; i++) this.#ask(nowMs, find, this.#row[i]!);
    this.#endRoundAt(nowMs, find);
    return undefined;
  }

  /** A ticket was learned meanwhile. */
  learned(key: FlowKey, owner: PeerIndex): void {
    if (this.#finds.size === 0) return;
    const find = this.#byKey.get(nameOf(key));
    if (find === undefined || owner === find.except) return;
    this.#finish(find, { outcome: 'owner', owner });
  }

  /** Another node asks. */
  questions(from: PeerIndex, body: Uint8Array): void {
    let at = 0;
    const ok = readAsks(body, (id, key) => {
      this.#answered++;
      if (at + ANSWER_BYTES > this.#answers.length) {
        this.#out?.send(from, CHANNEL_ANSWER, this.#answers.subarray(0, at));
        at = 0;
      }
      at = writeAnswer(this.#answers, at, this.#answer(id, key));
    });
    if (!ok) this.#malformed++;
    if (at > 0) this.#out?.send(from, CHANNEL_ANSWER, this.#answers.subarray(0, at));
  }

  answers(nowMs: number, from: PeerIndex, body: Uint8Array): void {
    const answers = readAnswers(body);
    if (answers === undefined) {
      this.#malformed++;
      return;
    }
    for (const answer of answers) {
      const find = this.#finds.get(answer.id);
      // Answers to what we did not ask this node are nobody's business.
      if (find === undefined || !find.waiting.delete(from)) continue;
      if (answer.known && this.#believe(find, answer)) continue;
      if (find.waiting.size === 0) this.#endRound(nowMs, find);
    }
  }

  postpone(lateMs: number): void {
    for (const find of this.#finds.values()) {
      find.untilMs += lateMs;
      find.roundEndsMs += lateMs;
    }
  }

  service(nowMs: number): void {
    if (nowMs >= this.#dueMs) {
      this.#dueMs = NEVER;
      for (const find of this.#finds.values()) {
        if (nowMs >= find.untilMs) this.#finish(find, { outcome: 'unknown' });
        else if (nowMs >= find.roundEndsMs) this.#endRound(nowMs, find);
        if (this.#finds.has(find.id)) this.#wakeAt(Math.min(find.untilMs, find.roundEndsMs));
      }
    }
    if (nowMs >= this.#askAtMs) this.#sendQuestions();
  }

  nextWakeupMs(): number {
    return Math.min(this.#dueMs, this.#askAtMs);
  }

  /** What this node's own store says; `undefined` when it says nothing. */
  #local(key: FlowKey, except: PeerIndex): FindOutcome | undefined {
    const count = this.#store.ownersOf(key, this.#owners);
    let best: FindOutcome | undefined;
    for (let i = 0; i < count; i++) {
      const tenure = this.#owners[i]!;
      if (tenure.peer === except) continue;
      if (tenure === this.#store.own) return { outcome: 'self' };
      const outcome = tenure.state === 'live' ? 'owner' : 'dead';
      best ??= { outcome, owner: tenure.peer };
    }
    return best;
  }

  #answer(id: number, key: FlowKey): Answer {
    const { self } = this.#peers;
    const local = this.#local(key, -1);
    let owner = local !== undefined && 'owner' in local ? local.owner : -1;
    if (local?.outcome === 'self' || this.#ownsFlow(key)) owner = self;
    const member = owner < 0 ? undefined : this.#peers.get(owner);
    if (member === undefined) return { id, known: false, low: 0, high: 0, boot: 0 };
    const { low, high } = nodeHash(member.id);
    return { id, known: true, low, high, boot: member.boot };
  }

  /** Ends the find if the answer names a node that can be the owner. */
  #believe(find: Find, answer: Answer): boolean {
    const owner = this.#names.get(`${answer.low}:${answer.high}`);
    if (owner === undefined || owner === find.except || owner === this.#peers.self) return false;
    const member = this.#peers.get(owner);
    if (member === undefined || member.boot !== answer.boot) return false;
    const gone = member.status === 'dead' || member.status === 'left';
    this.#finish(find, { outcome: gone ? 'dead' : 'owner', owner });
    return true;
  }

  #ask(nowMs: number, find: Find, peer: PeerIndex): void {
    if (peer === this.#peers.self || peer === find.except) return;
    find.waiting.add(peer);
    const queue = this.#questions.get(peer);
    if (queue === undefined) this.#questions.set(peer, [find]);
    else queue.push(find);
    this.#askAtMs = Math.min(this.#askAtMs, nowMs + GATHER_MS);
  }

  #endRoundAt(nowMs: number, find: Find): void {
    let waitMs = ROUND_MS;
    for (const peer of find.waiting) {
      waitMs = Math.max(waitMs, 2 * (this.#peers.rttMs(peer) ?? ROUND_MS));
    }
    find.roundEndsMs = nowMs + GATHER_MS + Math.min(ROUND_MAX_MS, waitMs);
    // Nobody to ask: on to the next round at once.
    if (find.waiting.size === 0) find.roundEndsMs = nowMs;
    this.#wakeAt(Math.min(find.untilMs, find.roundEndsMs));
  }

  #endRound(nowMs: number, find: Find): void {
    if (find.round === SEARCHES) {
      if (find.waiting.size === 0) this.#finish(find, { outcome: 'unknown' });
      // Silent nodes may still answer until the grace is over.
      else find.roundEndsMs = find.untilMs;
      return;
    }
    if (find.round > 0 && find.waiting.size === 0 && nowMs < find.roundEndsMs) {
      // All said no before the round was over. The second round is worth something only later.
      this.#wakeAt(find.roundEndsMs);
      return;
    }
    this.#search(nowMs, find);
  }

  #search(nowMs: number, find: Find): void {
    const live: PeerIndex[] = [];
    for (const peer of this.#peers.indices()) {
      if (peer === this.#peers.self || peer === find.except) continue;
      const status = this.#peers.get(peer)?.status;
      if (status === 'alive' || status === 'suspect') live.push(peer);
    }
    if (!this.#searches.take(nowMs, live.length)) {
      this.#refused++;
      this.#finish(find, { outcome: 'refused' });
      return;
    }
    if (find.round === 0) this.#searched++;
    find.round++;
    for (const peer of live) this.#ask(nowMs, find, peer);
    this.#endRoundAt(nowMs, find);
  }

  #sendQuestions(): void {
    this.#askAtMs = NEVER;
    for (const [peer, finds] of this.#questions) {
      let at = 0;
      for (const find of finds) {
        if (!this.#finds.has(find.id)) continue;
        if (at + ASK_BYTES_MAX > this.#body.length) {
          this.#out?.send(peer, CHANNEL_ASK, this.#body.subarray(0, at));
          at = 0;
        }
        at = writeAsk(this.#body, at, find.id, find.key);
        this.#asked++;
      }
      if (at > 0) this.#out?.send(peer, CHANNEL_ASK, this.#body.subarray(0, at));
    }
    this.#questions.clear();
  }

  #finish(find: Find, found: FindOutcome): void {
    this.#finds.delete(find.id);
    this.#byKey.delete(nameOf(find.key));
    const notice: FlowFound = { type: 'flowFound', key: find.key, bucket: find.bucket, found };
    this.#out?.notify(notice);
  }

  #wakeAt(atMs: number): void {
    if (atMs < this.#dueMs) this.#dueMs = atMs;
  }
}

function nameOf(key: FlowKey): string {
  let name = '';
  for (let i = 0; i < KEY_WORDS; i++) {
    name += String.fromCharCode(key[i]! & 0xffff, key[i]! >>> 16);
  }
  return name;
}
