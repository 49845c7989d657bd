/**
 * A node of a mesh that heals nothing: it shares TLS ticket keys and session records with nodes of
 * its kind. For edges of one's own, and for `holdfast run` without a datapath.
 */
import type { MemberChange, MeshComponent, MeshNotice, PeerIndex } from './core.ts';
import { Directory } from './directory/directory.ts';
import type { TicketKeysNotice } from './key-store.ts';
import { memberWatch } from './member-watch.ts';
import { Mesh, type MeshOptions } from './mesh.ts';
import { MeshAdmin } from './mesh-admin.ts';
import { nodeCipher } from './node-cipher.ts';
import type { Session, SessionFound, SessionSettings, SessionTaken } from './session-settings.ts';
import { Sessions } from './sessions.ts';

/**
 * Added to the cluster's name. A node with a datapath would send packets of flows to this one, which
 * could not take them: so the two kinds never meet.
 */
const LABEL_SUFFIX = '/no-datapath';

export interface MeshNodeOptions
  extends Omit<MeshOptions, 'boot' | 'components' | 'onNotice' | 'datagramFilter'> {
  readonly sessions?: Partial<SessionSettings>;
  /**
   * New TLS ticket keys, for `Edge.setTicketKeys` of every edge of this node. Called soon after the
   * start and at each change.
   */
  readonly onTicketKeys?: (secrets: readonly Uint8Array[]) => void;
  /** Another node took a session over that was this node's. */
  readonly onSessionTaken?: (key: string) => void;
  /** A node came, went, or changed. */
  readonly onMember?: (id: string, change: MemberChange) => void;
  /** The cluster keys changed over the wire. */
  readonly onClusterKeys?: () => void;
}

/** A session record, as any node reads it. */
export interface SessionRecord {
  readonly key: string;
  readonly value: Uint8Array;
  /** Hand it to {@link MeshNode.put} as `above` to take the session over. */
  readonly version: number;
  /** Life left, milliseconds. */
  readonly ttlMs: number;
  /** Name of the node that wrote it last; `undefined` when it is not known any more. */
  readonly owner: string | undefined;
}

/** Who waits for a record, by key. */
type Waiting = Map<string, ((session: Session | undefined) => void)[]>;

export class MeshNode {
  readonly mesh: Mesh;
  /** Nodes and keys, for operators. */
  readonly admin: MeshAdmin;
  readonly directory: Directory;
  readonly sessions: Sessions;
  readonly #waiting: Waiting;

  /** Binds and starts; joins in the background. @throws as {@link Mesh.start}. */
  static async start(options: MeshNodeOptions): Promise<MeshNode> {
    const parts: { directory?: Directory; sessions?: Sessions } = {};
    const waiting: Waiting = new Map();
    const mesh = await Mesh.start({
      ...options,
      label: `${options.label ?? 'holdfast'}${LABEL_SUFFIX}`,
      boot: nodeCipher.randomU32(),
      components: (nowMs, peers, random) => {
        const directory = new Directory(nowMs, { peers, random: random.fork() });
        const sessions = new Sessions({ ...options.sessions, peers, homes: directory.homes });
        Object.assign(parts, { directory, sessions });
        return [directory, sessions, ...watch(options)];
      },
      onNotice: (notice) => take(notice, options, waiting),
    });
    return new MeshNode(mesh, parts.directory!, parts.sessions!, waiting);
  }

  private constructor(mesh: Mesh, directory: Directory, sessions: Sessions, waiting: Waiting) {
    this.mesh = mesh;
    this.admin = new MeshAdmin(mesh);
    this.directory = directory;
    this.sessions = sessions;
    this.#waiting = waiting;
  }

  /** Where others reach this node: for their `join`. */
  get address(): string {
    return this.mesh.address;
  }

  /**
   * Writes a session record, or takes one over. It is kept by three nodes for `ttlMs`, also when
   * this one dies.
   * @param key 1 to 64 bytes of UTF-8.
   * @param value At most 1,024 bytes. Copied.
   * @param ttlMs Its life from now on, at most a day; writing again renews it.
   * @param above The version to replace, from {@link get}; default: this node's own last one.
   * @returns its version, or `undefined` when something is out of bounds, this node has too many
   * records, or it knows a newer one. A newer one elsewhere is told by `onSessionTaken`.
   */
  put(key: string, value: Uint8Array, ttlMs: number, above = 0): number | undefined {
    return this.mesh.act((nowMs, out) => this.sessions.put(nowMs, key, value, ttlMs, out, above));
  }

  /**
   * Reads a session record, wherever it was written. Resolves within half a second, to `undefined`
   * when there is none or nobody who has it answers. Never rejects.
   */
  async get(key: string): Promise<SessionRecord | undefined> {
    const { promise, resolve } = Promise.withResolvers<Session | undefined>();
    const found = this.mesh.act((nowMs, out) => this.sessions.get(nowMs, key, out));
    if (found === undefined) {
      const others = this.#waiting.get(key);
      if (others === undefined) this.#waiting.set(key, [resolve]);
      else others.push(resolve);
    } else resolve(found ?? undefined);
    const session = await promise;
    if (session === undefined) return undefined;
    const { owner, ...record } = session;
    return { ...record, owner: this.#nameOf(owner) };
  }

  /** Ends a record of this node's before its time. @returns false when it has none of that key. */
  drop(key: string): boolean {
    return this.mesh.act((nowMs, out) => this.sessions.drop(nowMs, key, out));
  }

  /** Says good-bye to the others, which takes a second, and closes. */
  async leave(): Promise<void> {
    await this.mesh.leave();
    this.#giveUp();
  }

  /** Closes without a word. */
  async close(): Promise<void> {
    await this.mesh.close();
    this.#giveUp();
  }

  #nameOf(peer: PeerIndex | undefined): string | undefined {
    return peer === undefined ? undefined : this.mesh.peers.get(peer)?.id;
  }

  #giveUp(): void {
    for (const resolves of this.#waiting.values())
      for (const resolve of resolves) resolve(undefined);
    this.#waiting.clear();
  }
}

function watch({ onMember }: MeshNodeOptions): MeshComponent[] {
  if (onMember === undefined) return [];
  return [memberWatch((change, { id }) => onMember(id, change))];
}

function take(notice: MeshNotice, options: MeshNodeOptions, waiting: Waiting): void {
  if (notice.type === 'ticketKeys') options.onTicketKeys?.((notice as TicketKeysNotice).secrets);
  else if (notice.type === 'clusterKeys') options.onClusterKeys?.();
  else if (notice.type === 'sessionTaken') options.onSessionTaken?.((notice as SessionTaken).key);
  else if (notice.type === 'sessionFound') {
    const { key, session } = notice as SessionFound;
    const resolves = waiting.get(key) ?? [];
    waiting.delete(key);
    for (const resolve of resolves) resolve(session);
  }
}
