/** One running BIRD: started in a namespace, asked and told through its control socket. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand, tryCommand } from '../command.ts';
import { Daemon } from '../daemons.ts';
import { LabError } from '../errors.ts';
import { type ProtocolState, parseProtocols } from './protocols.ts';

export class Bird {
  readonly daemon: Daemon;
  readonly #socket: string;

  private constructor(daemon: Daemon, socket: string) {
    this.daemon = daemon;
    this.#socket = socket;
  }

  /** Files of a BIRD, all in the node's own directory. */
  static logFile(directory: string): string {
    return join(directory, 'bird.log');
  }

  /** Its control socket. */
  static socket(directory: string): string {
    return join(directory, 'bird.ctl');
  }

  static async start(node: string, namespace: string, directory: string, config: string) {
    const file = join(directory, 'bird.conf');
    const socket = Bird.socket(directory);
    await writeFile(file, config);
    // A BIRD that was killed leaves its socket behind.
    await rm(socket, { force: true });
    const daemon = await Daemon.start({
      title: `bird on ${node}`,
      namespace,
      argv: ['bird', '-f', '-c', file, '-s', socket, '-P', join(directory, 'bird.pid')],
      logFile: join(directory, 'bird.out'),
      ownLogFile: Bird.logFile(directory),
    });
    return new Bird(daemon, socket);
  }

  /** Empty while it does not answer yet. */
  async protocols(): Promise<ProtocolState[]> {
    const { code, stdout } = await tryCommand(this.#argv('show protocols'));
    return code === 0 ? parseProtocols(stdout) : [];
  }

  /** Turns protocols on or off; resolves when BIRD has said that it does so. */
  async switchProtocols(names: readonly string[], on: boolean): Promise<void> {
    for (const name of names) {
      const answer = await runCommand(this.#argv(`${on ? 'enable' : 'disable'} ${name}`));
      if (/already|abled/.test(answer)) continue;
      throw new LabError(`bird answered: ${answer.trim()}`, 'ERR_LAB_COMMAND');
    }
  }

  #argv(command: string): string[] {
    return ['birdc', '-s', this.#socket, ...command.split(' ')];
  }
}
