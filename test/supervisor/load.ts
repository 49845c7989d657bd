/** Traffic that notices everything: new connections, kept ones, and WebSockets that talk all the time. */
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { WebSocket } from 'ws';

const PAUSE_MS = 10;
const ECHO_PAUSE_MS = 30;
/** An echo that takes longer is a broken session. */
const ECHO_MS_MAX = 15_000;

export interface LoadReport {
  readonly answered: number;
  readonly echoed: number;
  /** What went wrong, by kind and how often. Empty when nothing did. */
  readonly failures: Record<string, number>;
}

export class Load {
  readonly #url: string;
  readonly #failures: Record<string, number> = {};
  readonly #loops: Promise<void>[] = [];
  readonly sockets: WebSocket[] = [];
  #answered = 0;
  #echoed = 0;
  #stopped = false;

  constructor(url: string) {
    this.#url = url;
  }

  /** Opens the WebSockets; resolves when all are open. They talk until `stop`. */
  async talk(count: number): Promise<void> {
    const opened = Array.from({ length: count }, async () => {
      const socket = new WebSocket(`${this.#url.replace('http', 'ws')}/echo`);
      socket.on('error', (error) => this.#failed(`socket: ${error.message}`));
      await once(socket, 'open');
      socket.on('close', (code) => {
        if (!this.#stopped) this.#failed(`socket closed with ${code}`);
      });
      this.sockets.push(socket);
      this.#loops.push(this.#talk(socket));
    });
    await Promise.all(opened);
  }

  /** Asks without end, each time on a new connection or always on a kept one. */
  ask(loops: { readonly fresh: number; readonly kept: number }): void {
    for (let i = 0; i < loops.fresh; i++) this.#loops.push(this.#ask(false));
    for (let i = 0; i < loops.kept; i++)
      this.#loops.push(this.#ask(new Agent({ keepAlive: true, maxSockets: 1 })));
  }

  get report(): LoadReport {
    return { answered: this.#answered, echoed: this.#echoed, failures: this.#failures };
  }

  /** Ends what asks; WebSockets stay open until `close`. */
  async stop(): Promise<LoadReport> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    return this.report;
  }

  close(): void {
    this.#stopped = true;
    for (const socket of this.sockets) socket.terminate();
  }

  async #ask(agent: Agent | false): Promise<void> {
    while (!this.#stopped) {
      await this.#once(agent);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    if (agent !== false) agent.destroy();
  }

  #once(agent: Agent | false): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const kind = agent === false ? 'fresh' : 'kept';
    const failed = (error: NodeJS.ErrnoException) => {
      this.#failed(`${kind}: ${error.code ?? error.message}`);
      resolve();
    };
    const asked = request(`${this.#url}/load`, { agent }, (reply) => {
      reply.resume();
      reply.on('error', failed);
      reply.on('end', () => {
        if (reply.statusCode === 200) this.#answered += 1;
        else this.#failed(`${kind}: status ${reply.statusCode}`);
        resolve();
      });
    });
    asked.on('error', failed);
    asked.end();
    return promise;
  }

  async #talk(socket: WebSocket): Promise<void> {
    for (let i = 0; !this.#stopped && socket.readyState === WebSocket.OPEN; i++) {
      const reply = once(socket, 'message', { signal: AbortSignal.timeout(ECHO_MS_MAX) });
      socket.send(`message ${i}`);
      const text = await reply.then(([data]) => String(data)).catch((error: Error) => error.name);
      if (text.endsWith(`:message ${i}`)) this.#echoed += 1;
      else if (socket.readyState === WebSocket.OPEN) this.#failed(`echo: ${text}`);
      await new Promise((resolve) => setTimeout(resolve, ECHO_PAUSE_MS));
    }
  }

  #failed(what: string): void {
    this.#failures[what] = (this.#failures[what] ?? 0) + 1;
  }
}
