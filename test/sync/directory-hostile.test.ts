import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DIRECTORY_CHANNELS } from '../../src/sync/directory/channels.ts';
import { type Node, World } from './directory-world.ts';

function filled(): { world: World; home: Node; owner: Node } {
  const world = new World({ seed: 1, nodes: 3 });
  world.run(15_000);
  const [owner, home] = world.nodes;
  for (let n = 0; n < 200; n++) owner!.accept(n);
  world.run(5_000);
  return { world, home: home!, owner: owner! };
}

test('no body of an authenticated peer makes a directory throw, nor touches another owner’s tickets', () => {
  const { world, home, owner } = filled();
  const third = world.nodes[2]!;
  const before = home.kept(owner).join();
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 1_120, size: 'max' }),
    // Small numbers at the head look most like real messages.
    fc
      .array(fc.integer({ min: 0, max: 4 }), { minLength: 9, maxLength: 80, size: 'max' })
      .map((a) => new Uint8Array(a)),
  );
  const type = fc.constantFrom<'frame' | 'stream'>('frame', 'stream');
  fc.assert(
    fc.property(fc.constantFrom(...DIRECTORY_CHANNELS), type, body, (channel, kind, bytes) => {
      home.handle({ type: kind, from: home.indexOf(third), channel, body: bytes.slice() });
      home.handle({ type: 'tick' });
    }),
    { numRuns: 4_000 },
  );
  assert.equal(home.kept(owner).join(), before);
  assert.ok(home.directory.counters.bodiesMalformed! > 0);
});

test('real bodies with some bytes changed do no harm that anti-entropy does not mend', () => {
  const { world, home, owner } = filled();
  const real: { channel: number; body: Uint8Array; kind: 'frame' | 'stream' }[] = [];
  const handle = home.handle.bind(home);
  home.handle = (event) => {
    if ((event.type === 'frame' || event.type === 'stream') && event.from === home.indexOf(owner)) {
      real.push({ channel: event.channel, body: event.body.slice(), kind: event.type });
    }
    handle(event);
  };
  for (let n = 200; n < 260; n++) owner.accept(n);
  world.run(4_000);
  world.kill(home);
  world.restart(home, false);
  world.run(4_000);
  assert.ok(new Set(real.map(({ channel }) => channel)).size >= 3);
  const change = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) });
  fc.assert(
    fc.property(
      fc.nat(),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.nat(),
      (pick, changes, cut) => {
        const { channel, body, kind } = real[pick % real.length]!;
        const bytes = cut % 3 === 0 ? body.slice(0, cut % (body.length + 1)) : body.slice();
        for (const { at, value } of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
        // Not the stream's own numbers: an owner that lies about them silences only itself.
        if (channel === 16 || channel === 18 || channel === 20)
          bytes.set(body.subarray(0, Math.min(8, bytes.length)), 0);
        handle({ type: kind, from: home.indexOf(owner), channel, body: bytes });
      },
    ),
    { numRuns: 2_000 },
  );
  owner.accept(9_999);
  assert.ok(world.settle(15_000) !== undefined, `${world.fault()}`);
});
