/** Announces through ExaBGP: gives orders to the program that it runs (exabgp-program.ts). */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { familyOf } from './bird-snippet.ts';
import { type AnnounceDriver, AnnounceDriverError, type Verification } from './driver.ts';
import {
  type ExabgpOrder,
  type ExabgpReport,
  LineCutter,
  parseExabgpReport,
} from './exabgp-message.ts';
import { withdrawalFile } from './exabgp-program.ts';
import { type AnnouncedState, type AnnounceState, worst } from './state.ts';

export interface ExabgpOptions {
  /** Where the program finds the agent. */
  readonly socket: string;
  readonly prefixes: readonly string[];
  readonly nextHop: { readonly ipv4: string; readonly ipv6: string };
  /** Attributes in ExaBGP's own words, by state. */
  readonly attributes: Readonly<Record<AnnouncedState, string>>;
  readonly deadManMs: number;
}

/** Programs that may be connected at once: one per ExaBGP. */
const PROGRAMS_MAX = 8;
/** A program that is there calls every half second. */
const HELLO_MS = 1_200;

export class ExabgpDriver implements AnnounceDriver {
  readonly name = 'exabgp';
  readonly #options: ExabgpOptions;
  readonly #programs = new Map<Socket, ExabgpReport | undefined>();
  #server: Server | undefined;
  #order: ExabgpOrder | undefined;

  constructor(options: ExabgpOptions) {
    this.#options = options;
  }

  async found(): Promise<AnnounceState> {
    await this.#listen();
    await sleep(HELLO_MS);
    const states = [...this.#programs.values()].map((report) => report?.state ?? 'down');
    const announced = states.filter((state) => state !== 'down');
    return announced.length === 0 ? 'down' : worst(announced);
  }

  async apply(state: AnnounceState): Promise<void> {
    await this.#listen();
    const { deadManMs: leaseMs } = this.#options;
    const withdraw = this.#commands('down');
    this.#order = { state, commands: this.#commands(state), withdraw, leaseMs };
    for (const socket of this.#programs.keys()) this.#tell(socket);
  }

  async verify(state: AnnounceState): Promise<Verification> {
    const reports = [...this.#programs.values()];
    const found = reports.map((report) =>
      report === undefined
        ? 'a program that has said nothing yet'
        : `ExaBGP was asked for ${report.state}: ${answerText(report)}`,
    );
    const bad = (problem: string): Verification => ({ ok: false, problem, found });
    if (reports.length === 0) {
      return bad(
        `ExaBGP has not started its program: add to its configuration\n${exabgpSnippet(this.#options.socket)}`,
      );
    }
    if (reports.some((report) => report?.state !== state)) {
      return bad('the program of ExaBGP has not taken the order over yet');
    }
    if (reports.some((report) => report?.answer === 'error')) {
      return bad('ExaBGP refuses a command: see its log, and announce.exabgp');
    }
    return { ok: true, problem: '', found };
  }

  async close(): Promise<void> {
    for (const socket of this.#programs.keys()) socket.destroy();
    this.#server?.close();
  }

  #commands(state: AnnounceState): string[] {
    const { prefixes, nextHop, attributes } = this.#options;
    return prefixes.map((prefix) => {
      const route = `route ${prefix} next-hop ${familyOf(prefix) === 4 ? nextHop.ipv4 : nextHop.ipv6}`;
      return state === 'down'
        ? `withdraw ${route}`
        : `announce ${route} ${attributes[state]}`.trim();
    });
  }

  async #listen(): Promise<void> {
    if (this.#server !== undefined) return;
    const { socket: path } = this.#options;
    const server = createServer((socket) => this.#accept(socket));
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
      writeFileSync(withdrawalFile(path), JSON.stringify(this.#commands('down')), { mode: 0o644 });
      // An agent that was killed leaves its socket behind.
      rmSync(path, { force: true });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, resolve);
      });
      // ExaBGP gives its rights away. Whoever connects learns the state and may give none.
      chmodSync(path, 0o666);
    } catch (error) {
      server.close();
      throw new AnnounceDriverError(
        `cannot listen on ${path} (announce.exabgp.socket): ${(error as Error).message}`,
        error,
      );
    }
    server.on('error', () => undefined);
    this.#server = server;
  }

  #accept(socket: Socket): void {
    if (this.#programs.size >= PROGRAMS_MAX) {
      socket.destroy();
      return;
    }
    const lines = new LineCutter();
    this.#programs.set(socket, undefined);
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      for (const line of lines.push(text) ?? ['']) {
        const report = parseExabgpReport(line);
        if (report === undefined) socket.destroy();
        else this.#programs.set(socket, report);
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => this.#programs.delete(socket));
    this.#tell(socket);
  }

  #tell(socket: Socket): void {
    if (this.#order !== undefined) socket.write(`${JSON.stringify(this.#order)}\n`);
  }
}

/** What goes into exabgp.conf. */
export function exabgpSnippet(socket: string): string {
  return `process holdfast {
  run /usr/bin/holdfast announce exabgp --socket ${socket};
  encoder text;
}
# In each neighbor:  api { processes [ holdfast ]; }
`;
}

function answerText({ answer }: ExabgpReport): string {
  if (answer === 'pending') return 'no answer (exabgp.api.ack is off?)';
  return answer === 'done' ? 'done' : 'refused';
}
