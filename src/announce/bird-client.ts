/** A connection to the control socket of a BIRD daemon. */
import { connect, type Socket } from 'node:net';
import { BirdReplies, type BirdReply, isBirdError } from './bird-reply.ts';
import { AnnounceDriverError } from './driver.ts';

const TIMEOUT_MS = 3_000;
const GRAMMAR_ERRORS = 9_000;

export class BirdClient {
  readonly #path: string;
  readonly #socket: Socket;
  readonly #replies = new BirdReplies();
  #waiting: { resolve(reply: BirdReply): void; reject(error: Error): void } | undefined;
  #broken: Error | undefined;

  private constructor(path: string) {
    this.#path = path;
    this.#socket = connect(path);
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (text: string) => this.#received(text));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('it closed the connection')));
  }

  /** Resolves to a client and BIRD's greeting. @throws AnnounceDriverError with the mend. */
  static async open(path: string): Promise<{ client: BirdClient; greeting: string }> {
    const client = new BirdClient(path);
    const reply = await client.#answer();
    return { client, greeting: reply.lines.join(' ') };
  }

  /**
   * One at a time.
   * @param mayLack Whether what is asked for need not be there: no such network, no table of that
   * family. The answer is then empty.
   * @throws AnnounceDriverError when BIRD refuses it or does not answer.
   */
  async ask(command: string, mayLack = false): Promise<readonly string[]> {
    this.#socket.write(`${command}\n`);
    const reply = await this.#answer();
    if (isBirdError(reply)) {
      if (mayLack && reply.code < GRAMMAR_ERRORS) return [];
      throw new AnnounceDriverError(`BIRD answers "${reply.lines.join(' ')}" to "${command}"`);
    }
    return reply.lines;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #answer(): Promise<BirdReply> {
    const { promise, resolve, reject } = Promise.withResolvers<BirdReply>();
    if (this.#broken !== undefined) reject(this.#broken);
    this.#waiting = { resolve, reject };
    const timer = setTimeout(() => this.#fail(new Error('no answer')), TIMEOUT_MS);
    try {
      return await promise;
    } catch (error) {
      this.close();
      throw new AnnounceDriverError(unreachableText(this.#path, error as Error), error);
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
    }
  }

  #received(text: string): void {
    try {
      for (const reply of this.#replies.push(text)) this.#waiting?.resolve(reply);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    this.#broken ??= error;
    this.#waiting?.reject(error);
  }
}

function unreachableText(path: string, error: NodeJS.ErrnoException): string {
  const mends: Record<string, string> = {
    ENOENT: 'no such socket: is BIRD running, and is announce.socket its "-s"?',
    ECONNREFUSED: 'nobody listens there: start BIRD',
    EACCES: 'no right to connect: run as root or in the group of BIRD',
  };
  return `BIRD at ${path}: ${mends[error.code ?? ''] ?? error.message}`;
}
