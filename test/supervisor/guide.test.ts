/** The operator’s guide says what is so: its configurations, names and numbers are tried. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { birdSnippet, frrSnippet } from '../../src/announce/bird-snippet.ts';
import { tunnelOverheadBytes } from '../../src/datapath/tunnel-device.ts';
import { VERDICTS } from '../../src/datapath/verdicts.ts';
import type { NodeStatus } from '../../src/node.ts';
import { Stage, skipReason } from '../agent/stage.ts';
import { program } from './node-under-test.ts';

const directory = fileURLToPath(new URL('../../docs/operate/', import.meta.url));
const pages = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
const adminPage = readFileSync(join(directory, '../reference/admin.md'), 'utf8');
const page = (name: string) => readFileSync(join(directory, name), 'utf8');
const VIPS = ['192.0.2.10', '2001:db8::10'];

/** Code of one language. */
function blocks(text: string, language: string): string[] {
  const found = [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))];
  return found.map(([, code]) => code ?? '');
}

function lacks(command: string): string | false {
  const { status } = spawnSync('sh', ['-c', `command -v ${command}`]);
  return status === 0 ? false : `needs ${command}`;
}

function directoryOf(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'holdfast-guide-'));
  // FRR gives its rights away before it reads.
  chmodSync(made, 0o755);
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

/** Without the line for people at the end. */
const upToHint = (snippet: string, hint: string) => snippet.slice(0, snippet.indexOf(hint)).trim();

test('BIRD takes the configuration of the guide, which is the one that doctor shows', {
  skip: lacks('bird'),
}, (t) => {
  const [conf = ''] = blocks(page('routing.md'), 'bird');
  assert.ok(conf.includes(upToHint(birdSnippet(VIPS), '# In each BGP session')));
  const file = join(directoryOf(t), 'bird.conf');
  const accepts = (text: string) => {
    writeFileSync(file, text);
    return spawnSync('bird', ['-p', '-c', file], { encoding: 'utf8' });
  };
  const { status, stderr } = accepts(conf);
  assert.equal(status, 0, stderr);
  assert.notEqual(accepts(conf.replace('bgp_med = 300', 'bgp_mad = 300')).status, 0);
});

for (const daemon of ['zebra', 'staticd', 'bgpd', 'vtysh']) {
  const binary = daemon === 'vtysh' ? daemon : `/usr/lib/frr/${daemon}`;
  test(`${daemon} takes the FRR configuration of the guide`, { skip: lacks(binary) }, (t) => {
    const [conf = ''] = blocks(page('routing.md'), 'frr');
    assert.ok(conf.includes(upToHint(frrSnippet(VIPS), '! In each address-family')));
    const file = join(directoryOf(t), 'frr.conf');
    const complaints = (text: string) => {
      writeFileSync(file, text);
      const { status, stdout, stderr } = spawnSync(binary, ['-C', '-f', file], {
        encoding: 'utf8',
      });
      const said = `${stdout}${stderr}`;
      return status === 0 ? said.match(/.*(?:unknown|error|failed).*/gi) : [said];
    };
    assert.equal(complaints(conf), null);
    if (daemon === 'vtysh') {
      assert.notEqual(complaints(conf.replace('redistribute', 'redistrbute')), null);
    }
  });
}

test('configurations of holdfast in the guide are valid', { skip: lacks('openssl') }, (t) => {
  const place = directoryOf(t);
  writeFileSync(join(place, 'mesh.key'), `${Buffer.alloc(32, 7).toString('base64')}\n`);
  writeFileSync(join(place, 'flows.secret'), 'a secret of the test\n');
  const words =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=app';
  const files = [
    '-addext',
    'subjectAltName=DNS:app.example.com',
    '-keyout',
    'app.key',
    '-out',
    'app.pem',
  ];
  spawnSync('openssl', [...words.split(' '), ...files], { cwd: place });
  const found = pages.flatMap((text) => blocks(text, 'yaml'));
  assert.ok(found.length > 0);
  for (const yaml of found) {
    const file = join(place, 'holdfast.yaml');
    writeFileSync(file, yaml.replaceAll('/etc/holdfast/', `${place}/`), { mode: 0o600 });
    const { status, stderr } = spawnSync(process.execPath, [program, 'validate', file], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
  }
});

test('commands of the guide are commands', () => {
  const help = spawnSync(process.execPath, [program, '--help'], { encoding: 'utf8' }).stdout;
  const verbs = new Set<string>();
  for (const text of pages) {
    const prose = text.replaceAll(/^```.*?^```/gms, '');
    const spans = prose
      .split('\n')
      .flatMap((line) => line.split('`').filter((_, i) => i % 2 === 1));
    for (const code of [...blocks(text, 'sh'), ...spans]) {
      for (const [, verb = ''] of code.matchAll(/(?:^|&& |\| )holdfast ([a-z]+)/gm))
        verbs.add(verb);
    }
  }
  assert.ok(verbs.size > 8);
  for (const verb of verbs) assert.match(help, new RegExp(`^ {2}${verb}\\b`, 'm'), verb);
});

test('the guide explains every verdict, and no other', () => {
  const text = page('watching.md');
  const [, section = ''] = /## What each verdict means(.*?)\n## /s.exec(text) ?? [];
  const rows = [...section.matchAll(/^\| (`[^|]*`) \|/gm)].flatMap(([, names = '']) =>
    [...names.matchAll(/`(\w+)`/g)].map(([, name]) => name),
  );
  const names = VERDICTS.map(([name]) => name);
  assert.deepEqual(rows.toSorted(), names.toSorted());
});

test('segment sizes of the guide are those of the datapath', () => {
  const rows = [
    ...page('network.md').matchAll(/^\| (.*IPv([46]).*) \| (\d+) \| (\d+) \| (\d+) \|$/gm),
  ];
  assert.equal(rows.length, 4);
  for (const [, what, family, mtu, mss4, mss6] of rows) {
    const room = Number(mtu) - tunnelOverheadBytes(family === '6');
    assert.deepEqual([Number(mss4), Number(mss6)], [room - 40, room - 60], what ?? '');
  }
});

test('requests and metrics of the guide are those of a node with agent and announcement', {
  skip: skipReason,
  timeout: 120_000,
}, async (t) => {
  const stage = new Stage();
  let main: number | undefined;
  t.after(() => {
    if (main !== undefined) process.kill(main, 'SIGKILL');
    stage.command('agent', '--remove');
    stage.close();
  });
  stage.configure({
    workers: 1,
    sites: { '*': { routes: { '/*': '127.0.0.1:9' } } },
    announce: { driver: 'kernel', stateDirectory: stage.directory },
  });
  stage.start('run');
  const status = await stage.until<NodeStatus & { agent?: { state: string } | null }>(
    '/status',
    ({ state, agent }) => state === 'running' && agent?.state === 'running',
  );
  main = status.pid;
  const metrics = stage.output('curl', '-s', 'http://127.0.0.1:2019/metrics');
  const exported = new Set([...metrics.matchAll(/^# TYPE (\w+)/gm)].map(([, name = '']) => name));
  const named = new Set(
    pages.flatMap((text) => [...text.matchAll(/\bholdfast_\w+/g)].map(([name]) => name)),
  );
  assert.ok(named.size > 20);
  for (const name of named) assert.ok(exported.has(name), `${name} is not exported`);
  // The reference has all of them; of some kinds by the beginning of their names.
  const shown = [...adminPage.matchAll(/\bholdfast_\w+…?/g)].map(([name]) => name);
  const kinds = shown.filter((name) => name.endsWith('…')).map((name) => name.slice(0, -1));
  for (const name of shown) assert.ok(name.endsWith('…') || exported.has(name), `${name}: none`);
  for (const name of exported) {
    const isShown = shown.includes(name) || kinds.some((kind) => name.startsWith(kind));
    assert.ok(isShown, `${name} is not in the reference`);
  }
  const known = stage.output('curl', '-s', 'http://127.0.0.1:2019/no-such-thing');
  assert.deepEqual(
    new Set(adminPage.match(/(?<=^\| `)(?:GET|POST) \/[\w/-]+/gm)),
    new Set(known.match(/(?:GET|POST) \/[\w/-]+/g)),
  );
  // Labels, too, where the guide gives one with its value.
  for (const text of pages) {
    for (const [, label, value] of text.matchAll(/\{(\w+)="(\w+)"\}/g)) {
      assert.match(metrics, new RegExp(`\\{[^}]*${label}="${value}"`), `${label}="${value}"`);
    }
  }
});
