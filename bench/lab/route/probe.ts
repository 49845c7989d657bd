/** Asks the access router's kernel where it sends packets for the VIP, many times a second. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { labEnvironment } from '../command.ts';
import { LabError } from '../errors.ts';
import { parseRouteDevice } from './answer.ts';

const ANSWER_MS = 5_000;

/**
 * One `ip -batch` process that lives in the router's namespace and answers one question per line:
 * starting a new `ip` each time would cost more than the change that is measured.
 */
export class RouteProbe {
  readonly #child: ChildProcessWithoutNullStreams;
  #waiting: ((device: string | undefined) => void) | undefined;
  #chain: Promise<unknown> = Promise.resolve();
  #ended = false;

  constructor(namespace: string) {
    this.#child = spawn('ip', ['-n', namespace, '-force', '-json', '-batch', '-'], {
      stdio: 'pipe',
      env: labEnvironment(),
      // Ctrl-C belongs to the lab.
      detached: true,
    });
    // Each question brings one line on exactly one of the two: JSON, or "Command failed".
    createInterface(this.#child.stdout).on('line', (line) => this.#answer(parseRouteDevice(line)));
    createInterface(this.#child.stderr).on('line', (line) => {
      if (line.startsWith('Command failed')) this.#answer(undefined);
    });
    this.#child.stdin.on('error', () => {});
    const end = () => {
      this.#ended = true;
      this.#answer(undefined);
    };
    this.#child.on('error', end).on('exit', end);
  }

  #answer(device: string | undefined): void {
    const resolve = this.#waiting;
    this.#waiting = undefined;
    resolve?.(device);
  }

  /**
   * The interface that the router would use for `address` now; `undefined` when it has no route.
   * @throws LabError `ERR_LAB_ROUTE` when the router does not answer.
   */
  device(address: string): Promise<string | undefined> {
    const asked = this.#chain.then(() => this.#ask(address));
    this.#chain = asked.catch(() => {});
    return asked;
  }

  #ask(address: string): Promise<string | undefined> {
    if (this.#ended) throw new LabError('the route probe has ended', 'ERR_LAB_ROUTE');
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
    const timer = setTimeout(() => {
      this.#waiting = undefined;
      reject(new LabError('the route probe does not answer', 'ERR_LAB_ROUTE'));
    }, ANSWER_MS);
    this.#waiting = (device) => {
      clearTimeout(timer);
      resolve(device);
    };
    this.#child.stdin.write(`route get ${address}\n`);
    return promise;
  }

  close(): void {
    this.#child.stdin.end();
  }
}
