/** A network namespace with what an agent needs, and processes in it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { ConfigInput } from '../../src/config/schema.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/holdfast.js', import.meta.url));
const WAIT_MS = 30_000;

/** Why these tests cannot run here, or false. */
export const skipReason: string | false =
  process.platform !== 'linux' || process.getuid?.() !== 0
    ? 'needs root on Linux'
    : existsSync('/sys/kernel/btf/vmlinux')
      ? false
      : 'needs a kernel with BTF';

export class Stage {
  readonly directory = mkdtempSync(join(tmpdir(), 'holdfast-agent-'));
  readonly #name = `hfagent${process.pid}`;
  readonly #mounts: ChildProcess;
  readonly #children: ChildProcess[] = [];

  constructor() {
    sh(`ip netns add ${this.#name}`);
    const ip = `ip -n ${this.#name}`;
    sh(`${ip} link set lo up && ${ip} link add name up type veth peer name far`);
    sh(`${ip} link set dev up up && ${ip} link set dev far up`);
    sh(`${ip} address add 198.51.100.1/24 dev up && ${ip} address add 192.0.2.10/32 dev lo`);
    // BPF file systems of the test are nobody else's business, and end with it.
    const words = ['--mount', '--propagation', 'private', 'sleep', 'infinity'];
    this.#mounts = this.#spawn('unshare', words);
  }

  /** Writes the configuration that all commands use. */
  configure(changes: Partial<ConfigInput>): void {
    const config: ConfigInput = {
      node: 'node-1',
      vips: ['http://192.0.2.10:8080'],
      mesh: { listen: '198.51.100.1:7946', keys: '00'.repeat(32) },
      datapath: {
        uplink: 'up',
        underlay: '198.51.100.1',
        pinDirectory: join(this.directory, 'bpf'),
        ticketsMax: 1_024,
        ownFlowsMax: 1_024,
      },
      admin: '127.0.0.1:2019',
      accessLog: 'off',
      logLevel: 'warn',
      sites: {},
      ...changes,
    };
    writeFileSync(join(this.directory, 'holdfast.yaml'), stringify(config), { mode: 0o600 });
  }

  /** A running `holdfast` command. */
  start(verb: string, ...words: string[]): ChildProcess {
    const child = this.#spawn('nsenter', this.#argv(verb, ...words));
    child.stderr?.resume();
    return child;
  }

  /** A `holdfast` command that ends by itself. */
  command(
    verb: string,
    ...words: string[]
  ): { status: number | null; stdout: string; stderr: string } {
    const [program, ...args] = this.inside('nsenter', ...this.#argv(verb, ...words));
    return spawnSync(program!, args, { encoding: 'utf8', timeout: WAIT_MS, cwd: this.directory });
  }

  /** What a program prints in the namespace. */
  output(...argv: string[]): string {
    const [program, ...args] = this.inside(...argv);
    return spawnSync(program!, args, { encoding: 'utf8', timeout: WAIT_MS }).stdout;
  }

  inside(...argv: string[]): string[] {
    return ['nsenter', `--net=/run/netns/${this.#name}`, '--', ...argv];
  }

  /** Body of a GET at the admin address; `undefined` while nobody answers. */
  async ask<T>(path: string): Promise<T | undefined> {
    const text = this.output('curl', '-s', '-m', '3', `http://127.0.0.1:2019${path}`);
    if (text === '') return undefined;
    return JSON.parse(text) as T;
  }

  /** Asks until the answer is good. */
  async until<T>(path: string, good: (answer: T) => boolean): Promise<T> {
    const deadline = performance.now() + WAIT_MS;
    for (;;) {
      const answer = await this.ask<T>(path);
      if (answer !== undefined && good(answer)) return answer;
      if (performance.now() > deadline) throw new Error(`${path}: ${JSON.stringify(answer)}`);
      await sleep(100);
    }
  }

  async end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
    const gone = once(child, 'exit') as Promise<[number | null]>;
    child.kill(signal);
    const [code] = await gone;
    return code;
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    sh(`ip netns del ${this.#name}`);
    rmSync(this.directory, { recursive: true, force: true });
  }

  #argv(verb: string, ...words: string[]): string[] {
    const mounts = `--mount=/proc/${this.#mounts.pid}/ns/mnt`;
    const file = join(this.directory, 'holdfast.yaml');
    return [mounts, '--', process.execPath, PROGRAM, verb, '--config', file, ...words];
  }

  #spawn(program: string, args: readonly string[]): ChildProcess {
    const [first, ...rest] = this.inside(program, ...args);
    const child = spawn(first!, rest, { stdio: ['ignore', 'inherit', 'pipe'] });
    this.#children.push(child);
    return child;
  }
}

function sh(line: string): void {
  const { status, stderr } = spawnSync('sh', ['-c', line], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${line}: ${stderr}`);
}
