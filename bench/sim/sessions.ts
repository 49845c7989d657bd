/** Session records as a part of simulated worlds. */
import type { Homes } from '../../src/sync/homes.ts';
import { NO_HOME } from '../../src/sync/homes-build.ts';
import { nodeHash } from '../../src/sync/homes-score.ts';
import type { LocalSession, SessionSettings } from '../../src/sync/session-settings.ts';
import { Sessions } from '../../src/sync/sessions.ts';
import type { SimNode } from '../../src/sync/sim/sim-node.ts';
import type { TrialPart } from '../../src/sync/sim/trial.ts';
import type { World } from '../../src/sync/sim/world.ts';

const LOAD_GAP_MS = 400;
/** Keys that all nodes write; every other key has one writer. */
const SHARED_KEYS = 6;
/** Outlives the world, whatever clocks leap. */
const LONG_MS = 3_600_000;
const SHORT_MS = 3_000;
const LIMITS: Partial<SessionSettings> = {
  ownMax: 60,
  keptMax: 1_000,
  keptBytesMax: 300_000,
};
const COMPLAINTS_MAX = 3;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * Session records under load while the faults happen: written, renewed, taken over, dropped, left to
 * expire. When all is quiet, each record whose writer still has it is at every one of its homes, in
 * the version that goes before all others, and no store is larger than it may be.
 * @param homesOf The table of a node, driven by its directory.
 */
export function sessionPart(
  homesOf: (node: SimNode) => Homes,
  settings: Partial<SessionSettings> = {},
): TrialPart {
  const parts = new Map<SimNode, Sessions>();
  const versions = new Map<string, number>();
  let world: World;
  let count = 0;
  let isQuiet = false;

  const write = (node: SimNode): void => {
    const sessions = parts.get(node)!;
    const isShared = world.random.chance(0.4);
    const key = isShared ? `shared-${world.random.below(SHARED_KEYS)}` : `${node.id}-${++count}`;
    const above = isShared && world.random.chance(0.7) ? (versions.get(key) ?? 0) : 0;
    const ttlMs = world.random.chance(0.3) ? SHORT_MS : LONG_MS;
    world.act(node, (nowMs, out) => {
      if (world.random.chance(0.15)) sessions.drop(nowMs, key, out);
      const value = encoder.encode(`${key} by ${node.id}`);
      const version = sessions.put(nowMs, key, value, ttlMs, out, above);
      if (version !== undefined) versions.set(key, Math.max(version, versions.get(key) ?? 0));
    });
  };

  const load = (): void => {
    if (isQuiet) return;
    world.at(world.nowMs + LOAD_GAP_MS, load);
    const node = world.nodes[world.random.below(world.nodes.length)]!;
    if (node.up && node.stalledUntilMs <= world.nowMs) write(node);
  };

  return {
    components(peers, _random, node) {
      const sessions = new Sessions({ ...LIMITS, ...settings, peers, homes: homesOf(node) });
      parts.set(node, sessions);
      return [sessions];
    },
    begin(theWorld) {
      world = theWorld;
      world.at(3_000, load);
    },
    quiet() {
      isQuiet = true;
    },
    check() {
      return checkSessions(world, parts, homesOf, [...versions.keys()], { ...LIMITS, ...settings });
    },
  };
}

function checkSessions(
  world: World,
  parts: ReadonlyMap<SimNode, Sessions>,
  homesOf: (node: SimNode) => Homes,
  keys: readonly string[],
  limits: Partial<SessionSettings>,
): string[] {
  const complaints: string[] = [];
  const complain = (text: string): void => {
    if (complaints.length < COMPLAINTS_MAX) complaints.push(text);
  };
  const up = world.up();
  const byId = new Map(up.map((node) => [node.id, node]));
  const at = (node: SimNode, key: string): LocalSession | undefined =>
    parts.get(node)!.local(node.localMs(world.nowMs), key);
  for (const key of keys) {
    const writers = up.filter((node) => {
      const own = at(node, key);
      // What was dropped is kept for a while, by clocks that may leap.
      return own?.isOwn === true && !own.dropped;
    });
    if (writers.length > 1) complain(`${key} has ${writers.length} owners`);
    const [writer] = writers;
    if (writer === undefined) continue;
    const mine = at(writer, key)!;
    for (const id of homeIds(writer, homesOf(writer), nodeHash(key).low)) {
      const home = byId.get(id);
      if (home === undefined || home === writer) continue;
      const kept = at(home, key);
      if (kept === undefined) complain(`${key} of ${writer.id} is not at its home ${id}`);
      else if (kept.version !== mine.version || textOf(kept) !== textOf(mine)) {
        complain(`${id} has version ${kept.version} of ${key}, its owner ${mine.version}`);
      }
    }
  }
  for (const node of up) {
    const { sessionsOwned, sessionsKept, sessionBytesKept, sessionBodiesMalformed } =
      parts.get(node)!.counters;
    if (sessionsOwned! > limits.ownMax!) complain(`${node.id} owns ${sessionsOwned} sessions`);
    if (sessionsKept! > limits.keptMax!) complain(`${node.id} keeps ${sessionsKept} sessions`);
    if (sessionBytesKept! > limits.keptBytesMax!) complain(`${node.id} keeps too many bytes`);
    if (sessionBodiesMalformed! > 0) complain(`${node.id} met sessions that it could not read`);
    for (const key of keys) {
      const kept = at(node, key);
      // Whatever happened on the way, a value stays with its key and its writer.
      if (kept !== undefined && !kept.dropped && !textOf(kept).startsWith(`${key} by `)) {
        complain(`${node.id} has "${textOf(kept)}" under ${key}`);
      }
    }
  }
  return complaints;
}

function textOf({ value }: LocalSession): string {
  return decoder.decode(value);
}

function homeIds(node: SimNode, { rows, replicas, buckets }: Homes, hash: number): string[] {
  const bucket = hash & (buckets - 1);
  const ids: string[] = [];
  for (let i = bucket * replicas; i < (bucket + 1) * replicas; i += 1) {
    if (rows[i] !== NO_HOME) ids.push(node.core!.peers.get(rows[i]!)!.id);
  }
  return ids;
}
