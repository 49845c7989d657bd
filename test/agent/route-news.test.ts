import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHANNEL_ROUTE_NEWS, encodeRouteNote, RouteNews } from '../../src/agent/route-news.ts';
import type { Member, Outbox, PeerTable } from '../../src/sync/core.ts';

const member = (id: string, facts: Partial<Member> = {}): Member => ({
  id,
  pop: id,
  address: '192.0.2.1:7946',
  boot: 1,
  run: 10,
  configDigest: 0,
  version: '',
  protocolMin: 1,
  protocolMax: 1,
  draining: false,
  status: 'alive',
  incarnation: 1,
  ...facts,
});

/** A mesh of this node (0) and others, and what it sends. */
class World {
  readonly members = new Map([
    [0, member('self')],
    [1, member('one')],
    [2, member('two')],
  ]);
  readonly sent: string[] = [];
  readonly peers: PeerTable = {
    self: 0,
    get: (peer) => this.members.get(peer),
    indexOf: (id) => [...this.members].find(([, one]) => one.id === id)?.[0],
    indices: () => [...this.members.keys()],
    rttMs: () => undefined,
  };
  readonly out: Outbox = {
    send: (to) => this.sent.push(`frame to ${to}`) > 0,
    stream: () => false,
    broadcast: (_channel, key) => void this.sent.push(`rumour of ${key}`),
    notify: () => undefined,
  };
  readonly news = new RouteNews(this.peers);

  hear(node: string, offers: 'up' | 'down', number: number, run = 10): void {
    const body = encodeRouteNote({ node, state: offers, offers, run, number });
    this.news.handle(0, { type: 'rumour', from: 1, channel: CHANNEL_ROUTE_NEWS, body }, this.out);
  }
}

test('a change is told once, and again each minute', () => {
  const { news, out, sent } = new World();
  news.tell(0, 'up', 'up', out);
  news.tell(1_000, 'up', 'up', out);
  assert.deepEqual(sent, ['rumour of self']);
  news.handle(59_000, { type: 'tick' }, out);
  assert.equal(sent.length, 1);
  news.handle(60_000, { type: 'tick' }, out);
  assert.equal(sent.length, 2);
  news.tell(61_000, 'degraded', 'down', out);
  assert.equal(sent.length, 3);
});

test('news is passed on once, however often it is heard; what is older is not', () => {
  const world = new World();
  world.hear('one', 'up', 5);
  world.hear('one', 'up', 5);
  world.hear('one', 'down', 4);
  assert.deepEqual(world.sent, ['rumour of one']);
  assert.equal(world.news.othersWell, 1);
});

test('a new life of a node counts from its first word, and its old word counts no more', () => {
  const world = new World();
  world.hear('one', 'up', 5);
  world.members.set(1, member('one', { run: 11 }));
  assert.equal(world.news.othersWell, 0);
  world.hear('one', 'up', 9);
  assert.equal(world.news.othersWell, 0, 'a word of the life before');
  world.hear('one', 'up', 1, 11);
  assert.equal(world.news.othersWell, 1);
});

test('only nodes that live and are well count as others', () => {
  const world = new World();
  world.hear('one', 'up', 1);
  world.hear('two', 'down', 1);
  world.hear('nobody', 'up', 1);
  assert.equal(world.news.othersWell, 1);
  world.members.set(1, member('one', { status: 'dead' }));
  assert.equal(world.news.othersWell, 0);
});

test('a node that comes up is told at once', () => {
  const { news, out, sent, members } = new World();
  const event = { type: 'member', change: 'joined', peer: 2, member: members.get(2)! } as const;
  news.handle(0, event, out);
  assert.deepEqual(sent, [], 'nothing was decided yet');
  news.tell(0, 'up', 'up', out);
  news.handle(1, event, out);
  assert.deepEqual(sent, ['rumour of self', 'frame to 2']);
});
