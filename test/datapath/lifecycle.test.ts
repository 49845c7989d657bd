import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { Namespace, scratchDirectory, sh, skipReason } from '../../bench/datapath/namespace.ts';
import { ACK, SYN, tcpFrame } from '../../bench/datapath/packets.ts';
import { flowKey } from '../../src/datapath/address-bytes.ts';
import { ensureBpffs, isBpffs } from '../../src/datapath/bpffs.ts';
import { Datapath, removeDatapath } from '../../src/datapath/datapath.ts';
import type { DatapathError } from '../../src/datapath/datapath-error.ts';
import { doctor } from '../../src/datapath/doctor.ts';
import type { EventReader } from '../../src/datapath/event-ring.ts';
import { LAYOUT } from '../../src/datapath/layout.ts';
import { FrameSocket } from './raw-socket.ts';

const skip = skipReason();
const LAYOUT_NAME = `v${LAYOUT}`;
const VIP = { address: '192.0.2.10', port: 443 };
const SILENT: EventReader = {
  born: () => {},
  kept: () => {},
  ended: () => {},
  search: () => {},
  switched: () => {},
  found: () => {},
  refused: () => {},
};

/** Says which lines differ, not the hundreds that do not. */
function assertSame(after: string, before: string): void {
  const [now, then] = [after.split('\n'), before.split('\n')];
  const added = now.filter((line) => !then.includes(line));
  const gone = then.filter((line) => !now.includes(line));
  assert.deepEqual({ added, gone }, { added: [], gone: [] });
}

/** Everything of the network set-up that a test could leave behind. */
function inventory(): string {
  return [
    sh('ip -d link').replace(/\b(gso|gro|tso)_\S+ \d+/g, ''),
    sh('ip address'),
    sh('ip route show table all'),
    sh('ip -6 route show table all').replace(/expires \d+sec/g, ''),
    sh('sysctl -a --pattern ^net\\.ipv[46]\\.(conf|tcp)'),
  ].join('\n');
}

describe('life of the datapath', { skip }, () => {
  const home = skip === false ? Namespace.current() : undefined;
  const scratch = scratchDirectory();
  const pinDirectory = join(scratch.path, 'pins');
  const options = {
    uplinks: ['up'],
    underlay: '198.51.100.1',
    vips: [VIP],
    cookie: 1,
    hashSeed: 2,
    pinDirectory,
    ticketsMax: 4_096,
    ownFlowsMax: 4_096,
    ringBytes: 65_536,
  };
  let running: Datapath | undefined;

  before(() => {
    Namespace.create().enter();
    for (const name of ['up', 'other']) {
      sh(`ip link add name ${name} type veth peer name far${name}`);
      sh(`ip link set dev ${name} address 02:00:00:00:00:01`);
      sh(`ip link set dev ${name} up`);
      sh(`ip link set dev far${name} up`);
      sh(`sysctl -qw net.ipv6.conf.${name}.accept_dad=0`);
    }
    sh('ip address add 198.51.100.1/24 dev up');
    for (const address of [VIP.address, '203.0.113.7']) sh(`ip address add ${address}/32 dev lo`);
  });
  afterEach(() => {
    running?.close();
    running = undefined;
    removeDatapath(options);
  });
  after(() => {
    scratch.drop('pins');
    home?.enter();
  });

  const start = (more: Partial<typeof options> = {}): Datapath => {
    running = Datapath.start({ ...options, ...more });
    return running;
  };

  test('removal leaves the machine as it was', () => {
    const before = inventory();
    start();
    assert.notEqual(inventory(), before);
    assert.ok(isBpffs(pinDirectory));
    running!.remove();
    assertSame(inventory(), before);
    assert.ok(!existsSync(pinDirectory));
    // Again, and without a process that started it.
    removeDatapath(options);
    assertSame(inventory(), before);
  });

  test('a directory on a file system of somebody else is used without mounting', () => {
    const outer = join(scratch.path, 'pins');
    ensureBpffs(outer);
    const inner = join(outer, 'holdfast');
    mkdirSync(inner);
    const datapath = Datapath.start({ ...options, pinDirectory: inner });
    datapath.remove();
    assert.deepEqual(
      readdirSync(outer).filter((name) => !name.includes('.')),
      [],
    );
    assert.ok(isBpffs(outer), 'its mount stays');
  });

  test('a killed agent leaves everything in place for the next one', async () => {
    const program = `
      import { Datapath } from ${JSON.stringify(new URL('../../src/datapath/datapath.ts', import.meta.url).href)};
      const datapath = Datapath.start(${JSON.stringify(options)});
      const slot = datapath.nodes.place({ address: '198.51.100.2', boot: 5, state: 'alive' });
      datapath.tickets.learn(new Uint32Array([0, 0, 0xffff0000, 9, 0, 0, 0xffff0000, 9, 9]), slot);
      datapath.tickets.flush();
      process.stdout.write(String(datapath.boot));
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [boot] = (await once(child.stdout, 'data')) as [Buffer];
    child.kill('SIGKILL');
    await once(child, 'exit');
    const datapath = start();
    assert.ok(datapath.inherited);
    assert.equal(datapath.boot, Number(boot.toString()));
    const slot = datapath.nodes.slotOf('198.51.100.2')!;
    assert.equal(datapath.nodes.get(slot)?.boot, 5);
    const key = new Uint32Array([0, 0, 0xffff0000, 9, 0, 0, 0xffff0000, 9, 9]);
    assert.equal(datapath.tracer.trace(key).ticket?.owner, slot);
  });

  test('a fresh start has a new boot, a takeover keeps it and its counts', () => {
    const first = start();
    const { boot } = first;
    assert.ok(!first.inherited);
    first.close();
    const second = start();
    assert.ok(second.inherited);
    assert.equal(second.boot, boot);
    second.remove();
    const third = start();
    assert.ok(!third.inherited);
    assert.notEqual(third.boot, boot);
  });

  test('the uplink may change from one agent to the next', () => {
    const frames = new FrameSocket('farother');
    const seen = () => running!.verdicts.read().syn;
    const packet = tcpFrame({
      from: '203.0.113.9',
      fromPort: 1,
      to: VIP.address,
      toPort: 443,
      flags: SYN,
    });
    try {
      start();
      frames.send(packet);
      assert.equal(seen(), 0);
      running!.close();
      start({ uplinks: ['other'] });
      frames.send(packet);
      assert.equal(seen(), 1);
      assert.deepEqual(
        readdirSync(join(pinDirectory, LAYOUT_NAME))
          .filter((name) => name.startsWith('link-'))
          .sort(),
        ['link-away-other', 'link-state', 'link-tunnel', 'link-under-up', 'link-uplink-other'],
      );
    } finally {
      frames.close();
    }
  });

  test('the programs of another layout make room when ours are in place', () => {
    const frames = new FrameSocket('farup');
    try {
      start();
      running!.close();
      // As an agent of another version would have left it.
      renameSync(join(pinDirectory, LAYOUT_NAME), join(pinDirectory, 'v99'));
      start();
      assert.ok(!running!.inherited);
      assert.ok(!existsSync(join(pinDirectory, 'v99')));
      frames.send(
        tcpFrame({ from: '203.0.113.9', fromPort: 1, to: VIP.address, toPort: 443, flags: SYN }),
      );
      assert.equal(running!.verdicts.read().syn, 1);
    } finally {
      frames.close();
    }
  });

  test('a packet is counted once after a takeover: links are replaced, not added', () => {
    const frames = new FrameSocket('farup');
    try {
      start();
      running!.close();
      start();
      const before = running!.verdicts.read().syn;
      frames.send(
        tcpFrame({ from: '203.0.113.9', fromPort: 1, to: VIP.address, toPort: 443, flags: SYN }),
      );
      assert.equal(running!.verdicts.read().syn, before + 1);
      assert.equal(sh('ip -d link show dev up').includes('tc_filter'), false);
    } finally {
      frames.close();
    }
  });

  test('connections before, while and after the agent was away are known to the next', async () => {
    const server = createServer().listen(VIP.port, VIP.address);
    const open: Socket[] = [];
    const dial = async (): Promise<Socket> => {
      const socket = connect({ ...VIP, host: VIP.address, localAddress: '203.0.113.7' });
      const [peer] = (await once(server, 'connection')) as [Socket];
      open.push(socket, peer);
      return socket;
    };
    const ports = () =>
      [...running!.own].map(({ key }) =>
        Buffer.from(key.buffer, key.byteOffset + 32, 2).readUInt16BE(),
      );
    try {
      await once(server, 'listening');
      const before = await dial();
      start();
      assert.deepEqual(ports(), [before.localPort]);
      const bucket = [...running!.own][0]!.bucket;
      const key = flowKey({ address: '203.0.113.7', port: before.localPort! }, VIP);
      assert.equal(bucket, running!.tracer.bucketOf(key));
      const during = await dial();
      running!.close();
      const away = await dial();
      before.destroy();
      await once(before, 'close');
      open[1]!.resume();
      await new Promise((resolve) => setTimeout(resolve, 20));
      start();
      assert.deepEqual(ports().sort(), [during.localPort, away.localPort].sort());
      const told: string[] = [];
      const say = (what: string) => () => void told.push(what);
      const reader = { ...SILENT, born: say('born'), ended: say('ended') };
      running!.events.drain(reader, 100);
      // On the loopback no SYN-ACK passes the uplink: tickets are born with the connection.
      assert.deepEqual(told, ['born', 'born', 'ended'], 'the ring kept what happened meanwhile');
    } finally {
      for (const socket of open) socket.destroy();
      server.close();
    }
  });

  test('a connection in another network namespace is none of ours', async () => {
    start();
    const elsewhere = Namespace.create();
    const program = `
      import { connect, createServer } from 'node:net';
      const server = createServer((socket) => socket.end()).listen(443, '192.0.2.10', () => {
        connect({ host: '192.0.2.10', port: 443 }).resume().on('close', () => server.close());
      });`;
    const child = elsewhere.run(() => {
      sh('ip address add 192.0.2.10/32 dev lo');
      return spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
    });
    const [status] = (await once(child, 'exit')) as [number];
    elsewhere.close();
    assert.equal(status, 0);
    assert.equal(running!.events.drain(SILENT, 100), 0);
    assert.deepEqual([...running!.own], []);
  });

  test('events that find the ring full are counted, and those before them are kept', () => {
    const frames = new FrameSocket('farup');
    try {
      start({ ringBytes: 4_096 });
      running!.homes.publish(new Uint16Array(65_536 * 3).fill(running!.self));
      for (let port = 1; port <= 200; port++) {
        frames.send(
          tcpFrame({
            from: '203.0.113.9',
            fromPort: port,
            to: VIP.address,
            toPort: 443,
            flags: ACK,
          }),
        );
      }
      const { search, search_limited } = running!.verdicts.read();
      assert.equal(search + search_limited, 200);
      const lost = running!.counts.read().events_lost;
      const read = running!.events.drain(SILENT, 1_000);
      assert.equal(lost + read, search);
      // 4,096 bytes hold 73 records of 56.
      assert.ok(read <= 73 && read >= Math.min(search, 70), `${read} of ${search}`);
      // The ring goes on after it was full, and over its end.
      for (let port = 300; port < 400; port++) {
        frames.send(
          tcpFrame({
            from: '203.0.113.9',
            fromPort: port,
            to: VIP.address,
            toPort: 443,
            flags: ACK,
          }),
        );
        running!.events.drain(SILENT, 10);
      }
      assert.equal(running!.counts.read().events_lost, lost);
    } finally {
      frames.close();
    }
  });

  test('what cannot work is refused, and says how to mend it', () => {
    const refuses = (more: Partial<typeof options>, text: RegExp) =>
      assert.throws(
        () => Datapath.start({ ...options, ...more }),
        (error: DatapathError) =>
          text.test(error.message) && error.code.startsWith('ERR_DATAPATH_'),
      );
    refuses({ uplinks: ['nowhere'] }, /uplink nowhere does not exist/);
    refuses({ uplinks: ['lo'] }, /no Ethernet/);
    refuses({ underlay: '198.51.100.77' }, /no device has the underlay address/);
    refuses({ cookie: 1 << 22 }, /cookie .* must be from 0 to 4194303/);
    refuses({ ringBytes: 5_000 }, /power of two/);
    refuses({ vips: [{ address: '192.0.2.300', port: 1 }] }, /not an IP address/);
    sh('ip link add name holdfast0 type veth peer name farhold');
    refuses({}, /not ours/);
    assert.ok(sh('ip link show dev holdfast0'), 'a failed start takes nothing of others away');
    sh('ip link delete dev holdfast0');
    assert.ok(!existsSync(pinDirectory), 'and leaves nothing of its own');
  });

  test('the doctor finds this namespace fit but for the server, and sick without its address', () => {
    const checks = doctor(options);
    const sick = (list: typeof checks) => list.filter(({ ok }) => !ok).map(({ name }) => name);
    assert.deepEqual(sick(checks), ['listener 192.0.2.10 port 443']);
    start();
    assert.deepEqual(sick(doctor(options)), ['listener 192.0.2.10 port 443']);
    sh('ip address del 192.0.2.10/32 dev lo');
    assert.ok(sick(doctor(options)).includes('address 192.0.2.10'));
    sh('ip address add 192.0.2.10/32 dev lo');
  });
});
