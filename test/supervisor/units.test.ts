/** The units that are shipped: understood by systemd, and their capabilities are all that is needed. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Stage, skipReason } from '../agent/stage.ts';
import { eventually, program } from './node-under-test.ts';
import { ServiceManagerUnderTest } from './service-manager-under-test.ts';

const directory = fileURLToPath(new URL('../../packaging/systemd/', import.meta.url));
const units = readdirSync(directory).filter((name) => !name.endsWith('.sysusers'));
const NOBODY = 65_534;

/** The words of a setting; the last line wins. */
function setting(unit: string, name: string): string[] {
  const text = readFileSync(join(directory, unit), 'utf8');
  const lines = [...text.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))];
  return (lines.at(-1)?.[1] ?? '').split(' ');
}

const noSystemd =
  spawnSync('systemd-analyze', ['--version']).status === 0 ? false : 'needs systemd-analyze';

test('systemd understands every line', { skip: noSystemd }, (t) => {
  const copy = mkdtempSync(join(tmpdir(), 'holdfast-units-'));
  t.after(() => rmSync(copy, { recursive: true }));
  cpSync(directory, copy, { recursive: true });
  // It looks whether the programs are there.
  for (const name of units) {
    const file = join(copy, name);
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('/usr/bin/holdfast', '/bin/true'));
  }
  const files = units.map((name) => join(copy, name));
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', ...files], {
    encoding: 'utf8',
  });
  // Of other units of this machine it complains, too.
  const ours = stderr.split('\n').filter((line) => line.includes('holdfast'));
  assert.deepEqual(ours, []);
  assert.equal(status, 0, stderr);
});

test('commands of the units are commands of holdfast', () => {
  const help = spawnSync(process.execPath, [program, '--help'], { encoding: 'utf8' }).stdout;
  for (const unit of units) {
    const text = readFileSync(join(directory, unit), 'utf8');
    for (const [, verb] of text.matchAll(/\/usr\/bin\/holdfast (\w+)/g)) {
      assert.match(help, new RegExp(`^ {2}${verb} `, 'm'), `${unit}: ${verb}`);
    }
  }
});

describe('an agent as an ordinary user', { skip: skipReason, timeout: 240_000 }, () => {
  const needed = setting('holdfast-agent.service', 'AmbientCapabilities').map((name) =>
    name.replace('CAP_', '').toLowerCase(),
  );

  let attempts = 0;

  /** Runs an agent as nobody with these capabilities alone. */
  async function attempt(stage: Stage, pins: string, capabilities: readonly string[]) {
    const manager = await new ServiceManagerUnderTest(stage.directory, `notify${attempts++}`).up();
    chmodSync(manager.path, 0o666);
    const set = ['-all', ...capabilities.map((each) => `+${each}`)].join(',');
    const [command = '', ...args] = stage.inside(
      'setpriv',
      ...[`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--no-new-privs'],
      ...[`--inh-caps=${set}`, `--ambient-caps=${set}`, `--bounding-set=${set}`],
      ...[process.execPath, program, 'agent', '--config', join(stage.directory, 'holdfast.yaml')],
    );
    // As under systemd, in a mount namespace that has the pins.
    const child = spawn('nsenter', [`--mount=/proc/${pins}/ns/mnt`, '--', command, ...args], {
      env: { ...process.env, NOTIFY_SOCKET: manager.path },
      stdio: 'ignore',
    });
    const gone = once(child, 'exit');
    const isUp = await eventually('the agent to be up or gone', () => {
      if (manager.with('READY=1').length > 0) return 'up';
      return child.exitCode === null ? undefined : 'refused';
    });
    if (isUp === 'up') {
      child.kill('SIGTERM');
      await manager.hears('STOPPING=1');
      await gone;
    }
    manager.stop();
    return isUp;
  }

  test('needs the capabilities of its unit, and not one less', async (t) => {
    const stage = new Stage();
    const mounts = spawn('unshare', ['--mount', '--propagation', 'private', 'sleep', 'infinity']);
    t.after(() => {
      mounts.kill('SIGKILL');
      stage.close();
    });
    const bpf = join(stage.directory, 'bpf');
    mkdirSync(bpf);
    const state = join(stage.directory, 'state');
    mkdirSync(state);
    chownSync(state, NOBODY, NOBODY);
    chmodSync(stage.directory, 0o755);
    stage.configure({
      mesh: {
        listen: '198.51.100.1:7946',
        keys: '00'.repeat(32),
        keyring: join(state, 'keyring.json'),
      },
      datapath: {
        uplink: 'up',
        underlay: '198.51.100.1',
        pinDirectory: bpf,
        ticketsMax: 1_024,
        ownFlowsMax: 1_024,
      },
    });
    chownSync(join(stage.directory, 'holdfast.yaml'), NOBODY, NOBODY);
    const pins = String(mounts.pid);
    const into = [`--mount=/proc/${pins}/ns/mnt`, '--'];
    await eventually('the mount namespace', () => {
      // What the mount unit and the first ExecStartPre do.
      const script = `mount -t bpf bpf ${bpf} -o mode=0700 && chown ${NOBODY}:${NOBODY} ${bpf}`;
      const own = readFileSync('/proc/self/mountinfo', 'utf8');
      if (readFileSync(`/proc/${pins}/mountinfo`, 'utf8') === own) return false;
      return spawnSync('nsenter', [...into, 'sh', '-c', script]).status === 0;
    });
    assert.deepEqual(needed.toSorted(), ['bpf', 'net_admin', 'perfmon']);
    assert.equal(await attempt(stage, pins, needed), 'up');
    // Again: what the first left is taken over by the second, without more rights.
    assert.equal(await attempt(stage, pins, needed), 'up');
    for (const one of needed) {
      const others = needed.filter((each) => each !== one);
      assert.equal(await attempt(stage, pins, others), 'refused', `without ${one}`);
    }
  });
});
