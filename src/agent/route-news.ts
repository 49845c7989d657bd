/**
 * What the nodes announce, told to each other: so that the last one that is well knows that it is.
 * A core, the mesh component of channel 43.
 *
 *     0       1        2             6            10
 *     ┌───────┬────────┬─────────────┬────────────┬──────────────┐
 *     │ state │ offers │ run         │ number     │ name of node │   u32 little-endian
 *     └───────┴────────┴─────────────┴────────────┴──────────────┘
 *
 * A rumour at each change and once a minute, and a frame to each node that comes up.
 */
import { type AnnounceState, stateCode, stateOfCode } from '../announce/state.ts';
import type {
  Channel,
  MeshComponent,
  MeshEvent,
  Outbox,
  PeerIndex,
  PeerTable,
} from '../sync/core.ts';

export const CHANNEL_ROUTE_NEWS = 43;
const HEAD_BYTES = 10;
const NAME_CHARACTERS_MAX = 64;
const REPEAT_MS = 60_000;

export interface RouteNote {
  readonly node: string;
  readonly state: AnnounceState;
  /** What it would announce by its own health alone. */
  readonly offers: AnnounceState;
}

export interface RouteFacts extends RouteNote {
  readonly run: number;
  /** Rises with each change within a run. */
  readonly number: number;
}

export function encodeRouteNote(facts: RouteFacts): Uint8Array {
  const name = Buffer.from(facts.node, 'latin1');
  const bytes = new Uint8Array(HEAD_BYTES + name.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = stateCode(facts.state);
  bytes[1] = stateCode(facts.offers);
  view.setUint32(2, facts.run, true);
  view.setUint32(6, facts.number, true);
  bytes.set(name, HEAD_BYTES);
  return bytes;
}

/** `undefined` for anything else. */
export function decodeRouteNote(bytes: Uint8Array): RouteFacts | undefined {
  if (bytes.length <= HEAD_BYTES || bytes.length > HEAD_BYTES + NAME_CHARACTERS_MAX) {
    return undefined;
  }
  const state = stateOfCode(bytes[0]!);
  const offers = stateOfCode(bytes[1]!);
  if (state === undefined || offers === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const node = Buffer.from(bytes.subarray(HEAD_BYTES)).toString('latin1');
  if (!/^[A-Za-z0-9._-]+$/.test(node)) return undefined;
  return { node, state, offers, run: view.getUint32(2, true), number: view.getUint32(6, true) };
}

export class RouteNews implements MeshComponent {
  readonly channels: readonly Channel[] = [CHANNEL_ROUTE_NEWS];
  readonly counters: Record<string, number> = { routesMalformed: 0, routesHeard: 0 };
  readonly #peers: PeerTable;
  readonly #known = new Map<PeerIndex, RouteFacts>();
  #own: RouteFacts | undefined;
  #repeatAtMs = Number.POSITIVE_INFINITY;

  constructor(peers: PeerTable) {
    this.#peers = peers;
  }

  /** What this node announces. Told only when it changed. */
  tell(nowMs: number, state: AnnounceState, offers: AnnounceState, out: Outbox): void {
    if (this.#own?.state === state && this.#own.offers === offers) return;
    const { id: node, run } = this.#peers.get(this.#peers.self)!;
    this.#own = { node, state, offers, run, number: (this.#own?.number ?? 0) + 1 };
    this.#broadcast(nowMs, out);
  }

  /** What live nodes last said, this one's own last. */
  get notes(): readonly RouteNote[] {
    const notes: RouteNote[] = [];
    for (const [peer, note] of this.#known) {
      const member = this.#peers.get(peer);
      if (member?.status === 'alive' && member.run === note.run) notes.push(note);
    }
    return this.#own === undefined ? notes : [...notes, this.#own];
  }

  /** Live nodes that are well enough to announce by their own health, this one not counted. */
  get othersWell(): number {
    const isWell = ({ offers }: RouteNote) => offers === 'up' || offers === 'degraded';
    return this.notes.filter((note) => note !== this.#own && isWell(note)).length;
  }

  handle(nowMs: number, event: MeshEvent, out: Outbox): void {
    if (event.type === 'frame' || event.type === 'rumour') this.#hear(event.body, out);
    else if (event.type === 'member') this.#member(event, out);
    else if (event.type === 'tick' && nowMs >= this.#repeatAtMs) this.#broadcast(nowMs, out);
  }

  nextWakeupMs(): number {
    return this.#repeatAtMs;
  }

  #member(event: Extract<MeshEvent, { type: 'member' }>, out: Outbox): void {
    const { change, peer } = event;
    if (change === 'forgotten') this.#known.delete(peer);
    const isNews =
      change === 'joined' || change === 'alive' || change === 'run' || change === 'boot';
    if (isNews && this.#own !== undefined) {
      out.send(peer, CHANNEL_ROUTE_NEWS, encodeRouteNote(this.#own));
    }
  }

  #hear(body: Uint8Array, out: Outbox): void {
    const note = decodeRouteNote(body);
    if (note === undefined) {
      this.counters.routesMalformed! += 1;
      return;
    }
    const peer = this.#peers.indexOf(note.node);
    if (peer === undefined || peer === this.#peers.self) return;
    const before = this.#known.get(peer);
    // Of two lives, the one that membership knows counts.
    if (before?.run === note.run && before.number >= note.number) return;
    if (this.#peers.get(peer)?.run !== note.run) return;
    this.counters.routesHeard! += 1;
    this.#known.set(peer, note);
    out.broadcast(CHANNEL_ROUTE_NEWS, note.node, body);
  }

  #broadcast(nowMs: number, out: Outbox): void {
    this.#repeatAtMs = nowMs + REPEAT_MS;
    if (this.#own === undefined) return;
    // A higher number, so that what was heard before is passed on again.
    this.#own = { ...this.#own, number: this.#own.number + 1 };
    out.broadcast(CHANNEL_ROUTE_NEWS, this.#own.node, encodeRouteNote(this.#own));
  }
}
