/** What nodes that follow changes of the table at different times may believe of each other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readReply } from '../../src/proto/ticket-digest.ts';
import { CHANNEL_CHECK, CHANNEL_DIGEST, CHANNEL_REPLY } from '../../src/sync/directory/channels.ts';
import { type Node, settled, type World } from './directory-world.ts';

const directory = {
  digestMs: 200,
  homes: { buckets: 256, gatherMs: 50, settleMs: 1_000, holdDownMs: 50 },
};

interface Stage {
  readonly world: World;
  readonly owner: Node;
  readonly home: Node;
  /** In or out of the table, and with it two thirds of the buckets of the other. */
  readonly third: Node;
  /** Flows of a bucket that `home` keeps only while `third` is away, and of one that it always keeps. */
  readonly moving: number;
  readonly staying: number;
}

function stage(seed: number): Stage {
  const world = settled({ seed, nodes: 6, directory });
  const [owner, home, third] = world.nodes;
  const isHome = (n: number): boolean =>
    owner!.directory.homes.isHome(owner!.indexOf(home!), world.bucketOf(n));
  const flows = Array.from({ length: 256 }, (_, n) => n);
  const with3 = flows.map(isHome);
  world.tell(third!, 'left');
  world.run(2_000);
  const without3 = flows.map(isHome);
  const moving = flows.find((n) => without3[n] && !with3[n])!;
  const staying = flows.find((n) => without3[n] && with3[n])!;
  return { world, owner: owner!, home: home!, third: third!, moving, staying };
}

for (const others of [false, true]) {
  const what = others ? 'calls equal' : 'holds blank';
  test(`a home that gets a bucket back before it let go compares anew with an owner who ${what} it`, () => {
    const { world, owner, home, third, moving, staying } = stage(21);
    owner.accept(moving);
    if (others) owner.accept(staying);
    world.run(1_000);
    assert.ok(home.kept(owner).includes(`${moving}@1`));
    // The home hears of the third node later, and so asks the table before for longer.
    world.tell(
      third,
      'alive',
      world.nodes.filter((node) => node !== home),
    );
    world.run(400);
    world.tell(third, 'alive', [home]);
    world.run(750);
    owner.close(moving);
    world.run(50);
    let lost = 0;
    world.lose = (from, to, channel) =>
      from === home && to === owner && channel === CHANNEL_CHECK && lost++ === 0;
    assert.ok(home.kept(owner).includes(`${moving}@1`), 'nobody told this home any more');
    world.tell(third, 'left');
    world.run(100);
    const passedMs = world.settle(5_000);
    assert.ok(passedMs !== undefined, `${world.fault()}`);
    assert.ok(lost >= 2, 'the request that got lost was repeated');
  });
}

test('a late answer to an earlier digest is not taken for an answer to the present one', () => {
  const { world, owner, home, third, moving } = stage(22);
  let late: Uint8Array | undefined;
  let digests = 0;
  let hasChanged = false;
  world.lose = (from, to, channel, body) => {
    if (from === owner && to === home && channel === CHANNEL_DIGEST) digests++;
    if (from !== home || to !== owner || channel !== CHANNEL_REPLY) return false;
    if (readReply(body)!.status === 'equal' && !hasChanged) late = body.slice();
    return true;
  };
  owner.accept(moving);
  world.run(1_000);
  // With this table the home should have nothing of the owner, and no frame says so.
  hasChanged = true;
  world.tell(third, 'alive');
  world.run(400);
  const from = owner.indexOf(home);
  owner.handle({ type: 'frame', from, channel: CHANNEL_REPLY, body: late! });
  digests = 0;
  // Before the home lets go and asks for a digest itself.
  world.run(600);
  assert.ok(digests >= 2, `${digests} digests: the owner believes that the home was right`);
});
