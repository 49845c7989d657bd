/** A service manager’s socket, as systemd has one: it tells which process sent what. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './node-under-test.ts';

/** Node has no Unix datagrams, and the receiver must not share the sender’s code. */
const RECEIVER = `
import json, socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
name = sys.argv[1]
s.bind("\\0" + name[1:] if name.startswith("@") else name)
print("{}", flush=True)
while True:
    data, controls, flags, _ = s.recvmsg(4096, socket.CMSG_SPACE(12))
    pid = struct.unpack("iii", controls[0][2])[0]
    print(json.dumps({"pid": pid, "lines": data.decode().split("\\n")}), flush=True)
`;

export interface Told {
  /** Of the sender, as the kernel says. */
  readonly pid: number;
  readonly lines: readonly string[];
}

export const skipReason: string | false =
  spawnSync('python3', ['-c', '0']).status === 0 ? false : 'needs python3';

export class ServiceManagerUnderTest {
  readonly path: string;
  readonly told: Told[] = [];
  readonly #child: ChildProcess;
  #isUp = false;

  /** @param name Begins with @ for an abstract socket; else it is made in the directory. */
  constructor(directory: string, name = 'notify') {
    this.path = name.startsWith('@') ? name : join(directory, name);
    this.#child = spawn('python3', ['-c', RECEIVER, this.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let rest = '';
    this.#child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '{}') this.#isUp = true;
        else this.told.push(JSON.parse(line) as Told);
      }
    });
  }

  async up(): Promise<this> {
    await eventually('the socket of the service manager', () => this.#isUp);
    return this;
  }

  /** Waits for a message with that line. */
  async hears(line: string): Promise<Told> {
    return eventually(`${line} to be told`, () => this.with(line)[0]);
  }

  with(line: string): Told[] {
    return this.told.filter(({ lines }) => lines.some((each) => each.startsWith(line)));
  }

  get exists(): boolean {
    return existsSync(this.path);
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}
