/**
 * Upgrade in place: one release starts the next, passes its sockets on, and finishes what it has.
 * Until the next one is ready, this one serves as before; if it never is, nothing has happened.
 */
import type { Logger } from 'pino';
import { type Inheritance, type InheritedSocket, legacyOf } from './inheritance.ts';
import { type Release, releaseAt, releaseInPlace } from './release-file.ts';
import { Successor, UpgradeError } from './successor.ts';
import type { ToPredecessor, ToSuccessor } from './upgrade-messages.ts';

/** Each that still has sessions is a supervisor and its workers. */
const OLDER_MAX = 8;

export interface SuccessionDeps {
  readonly log: Logger;
  readonly inheritance: Inheritance;
  readonly version: string;
  /** Longest time from the start of the next release until it is ready, milliseconds. */
  readyMs(): number;
  /** Why this node cannot be followed now. */
  refusal(): string | undefined;
  /** Releases before this one that still have sessions. */
  older(): Promise<number>;
  sockets(): readonly InheritedSocket[];
  hello(): Extract<ToSuccessor, { type: 'hello' }>;
  /** Two agents cannot have the mesh's address: this one's ends, and comes back if need be. */
  endAgent(): Promise<void>;
  restartAgent(): Promise<void>;
  /** The next release is the node from now on, as this process. */
  replaced(pid: number): void;
  /** What the next release asks for afterwards. */
  asked(message: ToPredecessor): void;
}

export interface Upgraded {
  readonly from: string;
  readonly to: string;
  /** Of the new supervisor. */
  readonly pid: number;
}

export class Succession {
  readonly #deps: SuccessionDeps;
  #successor: Successor | undefined;
  #upgrading: Promise<Upgraded> | undefined;
  #replaced = false;

  constructor(deps: SuccessionDeps) {
    this.#deps = deps;
  }

  get isUnderWay(): boolean {
    return this.#upgrading !== undefined;
  }

  /** Another release is the node. */
  get isReplaced(): boolean {
    return this.#replaced;
  }

  /**
   * Starts the next release and lets it take over. Rejects with `ERR_UPGRADE` or `ERR_RELEASE_FILE`;
   * this one then goes on as before.
   * @param path `bin/holdfast.js` of the next release. Default: what is now where this one was started
   * from.
   */
  async upgrade(path?: string): Promise<Upgraded> {
    if (this.#upgrading !== undefined) throw new UpgradeError('an upgrade is under way already');
    if (this.#replaced) throw new UpgradeError('another release has taken over: ask that one');
    this.#upgrading = this.#upgrade(path);
    try {
      return await this.#upgrading;
    } catch (error) {
      const { message } = error as Error;
      this.#deps.log.error({ reason: message }, 'upgrade failed, nothing changed');
      throw error;
    } finally {
      this.#upgrading = undefined;
    }
  }

  /** This node ends: a release that was about to follow does not. */
  async giveUp(): Promise<void> {
    if (!this.#replaced) await this.#successor?.end();
  }

  /** Tells the next release something. */
  tell(message: ToSuccessor): void {
    this.#successor?.tell(message);
  }

  /** The last word to the next release. */
  async farewell(message: ToSuccessor): Promise<void> {
    await this.#successor?.farewell(message);
  }

  async #upgrade(path: string | undefined): Promise<Upgraded> {
    const { log, version } = this.#deps;
    await this.#check();
    const release = path === undefined ? releaseInPlace() : releaseAt(path);
    log.info({ to: release.version, file: release.file }, 'upgrade: the next release starts');
    const successor = this.#start(release);
    this.#successor = successor;
    let agentEnded = false;
    try {
      successor.tell(this.#deps.hello());
      await successor.until('needAgent');
      agentEnded = true;
      await this.#deps.endAgent();
      successor.tell({ type: 'agentEnded' });
      await successor.until('ready');
    } catch (error) {
      await successor.end();
      this.#successor = undefined;
      if (agentEnded) await this.#deps.restartAgent();
      throw error;
    }
    // In this order: the service manager knows the new one before that says that it is ready.
    this.#replaced = true;
    this.#deps.replaced(successor.pid);
    successor.takeOver();
    log.info({ to: release.version, newPid: successor.pid }, 'upgrade: the next release took over');
    return { from: version, to: release.version, pid: successor.pid };
  }

  async #check(): Promise<void> {
    const refusal = this.#deps.refusal();
    if (refusal !== undefined) throw new UpgradeError(refusal);
    if (process.pid === 1) {
      throw new UpgradeError(
        'this node is process 1 of its container, which would end with it: drain it and start a new container',
      );
    }
    if ((await this.#deps.older()) >= OLDER_MAX) {
      throw new UpgradeError(
        `${OLDER_MAX} older releases still have sessions: wait, set upgrade.deadlineMs, or end them (holdfast status names their processes; TERM drains one)`,
      );
    }
  }

  #start(release: Release): Successor {
    const { log, inheritance, readyMs, sockets, asked } = this.#deps;
    const passedOn = sockets();
    return new Successor({
      log,
      file: release.file,
      args: process.argv.slice(2),
      environment: legacyOf(inheritance, passedOn),
      sockets: passedOn,
      readyMs: readyMs(),
      onMessage: (message) => asked(message),
    });
  }
}
