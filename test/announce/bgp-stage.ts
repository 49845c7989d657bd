/** A PoP and a router in namespaces of the test, one BIRD in the router to see what arrives. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { birdSnippet } from '../../src/announce/bird-snippet.ts';
import type { ConfigInput } from '../../src/config/schema.ts';

export const VIPS = ['192.0.2.10', '2001:db8::10'];
const CHILD = fileURLToPath(new URL('./driver-child.ts', import.meta.url));
const WAIT_MS = 20_000;

function lacks(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0;
}

/** Why tests that need these programs cannot run, or false. */
export function skipWithout(...programs: string[]): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root on Linux';
  const missing = programs.filter(lacks);
  return missing.length === 0 ? false : `needs ${missing.join(', ')}`;
}

/** The route as the router has it. */
export interface SeenRoute {
  readonly med: number | undefined;
  readonly path: string;
  readonly communities: string;
}

let stages = 0;

const PROGRAM = fileURLToPath(new URL('../../bin/holdfast.js', import.meta.url));
export const ADMIN = 'http://127.0.0.1:2019';

export class BgpStage {
  readonly directory = mkdtempSync(join(tmpdir(), 'holdfast-announce-'));
  readonly #pop = `hfpop${process.pid}n${stages}`;
  readonly #router = `hfrtr${process.pid}n${stages++}`;
  readonly #children = new Set<ChildProcess>();

  constructor() {
    sh(`ip netns add ${this.#pop}`);
    sh(`ip netns add ${this.#router}`);
    const [pop, router] = [`ip -n ${this.#pop}`, `ip -n ${this.#router}`];
    sh(`${pop} link set lo up && ${router} link set lo up`);
    sh(`${pop} link add name uplink type veth peer name pop netns ${this.#router}`);
    sh(`${pop} address add 203.0.113.130/30 dev uplink`);
    sh(`${router} address add 203.0.113.129/30 dev pop`);
    sh(`${pop} address add 2001:db8:a1::2/64 dev uplink nodad`);
    sh(`${router} address add 2001:db8:a1::1/64 dev pop nodad`);
    sh(`${pop} link set uplink up && ${router} link set pop up`);
  }

  /** A program at the router, which reaches the VIPs as a client does. */
  startClient(...argv: string[]): ChildProcess {
    sh(`ip -n ${this.#router} route replace 192.0.2.10 via 203.0.113.130`);
    const args = [`--net=/run/netns/${this.#router}`, '--', ...argv];
    const child = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.add(child);
    return child;
  }

  /** `nsenter …` into the PoP. */
  inside(...argv: string[]): string[] {
    return ['nsenter', `--net=/run/netns/${this.#pop}`, '--', ...argv];
  }

  run(...argv: string[]): string {
    const [program = '', ...args] = this.inside(...argv);
    const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: WAIT_MS });
    return stdout + stderr;
  }

  get birdSocket(): string {
    return join(this.directory, 'pop.ctl');
  }

  /** Starts the BIRD that sees what the PoP announces. */
  async startRouter(): Promise<void> {
    const session = (family: 4 | 6) => {
      const [local, neighbour] =
        family === 4 ? ['203.0.113.129', '203.0.113.130'] : ['2001:db8:a1::1', '2001:db8:a1::2'];
      return `protocol bgp pop${family} {
  local ${local} as 64500; neighbor ${neighbour} as 64501;
  connect delay time 0; connect retry time 1; error wait time 1, 1;
  ipv${family} { import all; export none; };
}`;
    };
    const conf = `router id 203.0.113.129;\nprotocol device {}\n${session(4)}\n${session(6)}\n`;
    await this.#startBird('router', this.#router, conf);
  }

  /** Starts the PoP's BIRD. @param parts What bird.conf holds besides the two sessions. */
  async startBird(
    parts: string = birdSnippet(VIPS),
    filter = 'where holdfast()',
  ): Promise<ChildProcess> {
    const session = (family: 4 | 6) => {
      const [local, neighbour] =
        family === 4 ? ['203.0.113.130', '203.0.113.129'] : ['2001:db8:a1::2', '2001:db8:a1::1'];
      return `protocol bgp router${family} {
  local ${local} as 64501; neighbor ${neighbour} as 64500;
  connect delay time 0; connect retry time 1; error wait time 1, 1;
  ipv${family} { import none; export ${filter}; };
}`;
    };
    const conf = `router id 203.0.113.130;\nprotocol device {}\n${parts}\n${session(4)}\n${session(6)}\n`;
    return this.#startBird('pop', this.#pop, conf);
  }

  /** What the router knows of a prefix; `undefined` when nothing. */
  seen(family: 4 | 6): SeenRoute | undefined {
    const prefix = family === 4 ? '192.0.2.0/24' : '2001:db8::/48';
    const text = birdc(join(this.directory, 'router.ctl'), `show route ${prefix} all`);
    if (!text.includes('BGP.as_path')) return undefined;
    const value = (name: string) => new RegExp(`BGP\\.${name}: (.*)`).exec(text)?.[1]?.trim();
    const med = value('med');
    return {
      med: med === undefined ? undefined : Number(med),
      path: value('as_path') ?? '',
      communities: value('community') ?? '',
    };
  }

  /** Withdrawals of the IPv4 prefix that the router has logged. */
  withdrawals(): number {
    const log = readFileSync(join(this.directory, 'router.log'), 'utf8');
    return log.match(/pop4\.ipv4 > removed .*192\.0\.2\.0\/24/g)?.length ?? 0;
  }

  birdc(command: string): string {
    return birdc(this.birdSocket, command);
  }

  /** A driver in the PoP. */
  driver(...words: unknown[]): DriverProcess {
    const [program = '', ...args] = this.inside(process.execPath, CHILD, JSON.stringify(words));
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.add(child);
    return new DriverProcess(child);
  }

  /** A program in the PoP, ended with the stage. */
  start(...argv: string[]): ChildProcess {
    const [program = '', ...args] = this.inside(...argv);
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    this.#children.add(child);
    return child;
  }

  /** A `holdfast` command in the PoP, ended with the stage. Its BPF file systems are its own. */
  holdfast(verb: string, ...words: string[]): ChildProcess {
    return this.start(...this.#command(verb, ...words));
  }

  /** A `holdfast` command that ends by itself. */
  command(
    verb: string,
    ...words: string[]
  ): { status: number | null; stdout: string; stderr: string } {
    const [program = '', ...args] = this.inside(...this.#command(verb, ...words));
    return spawnSync(program, args, { encoding: 'utf8', timeout: 60_000, cwd: this.directory });
  }

  /** Writes the configuration of every `holdfast` command, with the VIPs on the PoP. */
  configure(config: Partial<ConfigInput>): void {
    const whole: ConfigInput = {
      node: 'node-1',
      mesh: { listen: '203.0.113.130:7946', keys: '00'.repeat(32) },
      datapath: {
        uplink: 'uplink',
        underlay: '203.0.113.130',
        pinDirectory: join(this.directory, 'bpf'),
        ticketsMax: 1_024,
        ownFlowsMax: 1_024,
      },
      vips: ['http://192.0.2.10:8080', 'http://[2001:db8::10]:8080'],
      admin: '127.0.0.1:2019',
      accessLog: 'off',
      logLevel: 'warn',
      sites: {},
      ...config,
    };
    writeFileSync(join(this.directory, 'holdfast.yaml'), stringify(whole), { mode: 0o600 });
  }

  /** Gives the PoP the VIPs. */
  addVips(): void {
    this.run('ip', 'address', 'add', '192.0.2.10/32', 'dev', 'lo');
    this.run('ip', 'address', 'add', '2001:db8::10/128', 'dev', 'lo', 'nodad');
    this.#mounts = this.start(
      'unshare',
      '--mount',
      '--propagation',
      'private',
      'sleep',
      'infinity',
    );
  }

  /** Body of a GET at the admin address; `undefined` while nobody answers. */
  ask<T>(path: string): T | undefined {
    const text = this.run('curl', '-s', '-m', '3', `${ADMIN}${path}`);
    return text === '' ? undefined : (JSON.parse(text) as T);
  }

  #mounts: ChildProcess | undefined;

  #command(verb: string, ...words: string[]): string[] {
    const mounts = `--mount=/proc/${this.#mounts!.pid}/ns/mnt`;
    const file = join(this.directory, 'holdfast.yaml');
    return ['nsenter', mounts, '--', process.execPath, PROGRAM, verb, '--config', file, ...words];
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    sh(`ip netns del ${this.#pop}`);
    sh(`ip netns del ${this.#router}`);
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #startBird(name: string, namespace: string, conf: string): Promise<ChildProcess> {
    const file = join(this.directory, `${name}.conf`);
    const socket = join(this.directory, `${name}.ctl`);
    const log = join(this.directory, `${name}.log`);
    writeFileSync(file, `log "${log}" all;\ndebug protocols { states, routes };\n${conf}`);
    rmSync(socket, { force: true });
    const argv = ['-f', '-c', file, '-s', socket, '-P', join(this.directory, `${name}.pid`)];
    const child = spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', 'bird', ...argv], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    this.#children.add(child);
    await until(`${name} answers`, () => existsSync(socket) && birdc(socket, 'show status') !== '');
    return child;
  }
}

/** A driver that can be killed. */
export class DriverProcess {
  readonly child: ChildProcess;
  readonly #lines: Interface;

  constructor(child: ChildProcess) {
    this.child = child;
    this.#lines = createInterface({ input: child.stdout! });
  }

  async call<T>(method: string, ...words: unknown[]): Promise<T> {
    const answer = once(this.#lines, 'line') as Promise<[string]>;
    this.child.stdin!.write(`${JSON.stringify([method, ...words])}\n`);
    const { value, error } = JSON.parse((await answer)[0]) as { value: T; error?: string };
    if (error !== undefined) throw new Error(error);
    return value;
  }

  async kill(): Promise<void> {
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }
}

/** Waits for it. */
export async function until(
  what: string | (() => string),
  good: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!(await good())) {
    if (performance.now() > deadline) {
      throw new Error(`not within ${WAIT_MS} ms: ${typeof what === 'string' ? what : what()}`);
    }
    await sleep(50);
  }
}

function birdc(socket: string, command: string): string {
  const words = ['-s', socket, ...command.split(' ')];
  return spawnSync('birdc', words, { encoding: 'utf8', timeout: WAIT_MS }).stdout;
}

function sh(line: string): void {
  const { status, stderr } = spawnSync('sh', ['-c', line], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${line}: ${stderr}`);
}
