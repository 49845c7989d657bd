/** Spoils bytes: the mutations that listener and origin are fuzzed with, and what must not happen. */
import type { Socket } from 'node:net';
import { after, before, beforeEach } from 'node:test';
import fc from 'fast-check';
import type { Edge } from '../../../src/edge/edge.ts';

/** What parsers trip over. */
const splinters = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '"',
  '%00',
  '%2e%2e/',
  '../',
  '//',
  '#',
  '\x7f',
  '\xff',
  '\r\nContent-Length: 5',
  '\r\nContent-Length: 99999999999999999999',
  '\r\nTransfer-Encoding: chunked',
  '\r\nTransfer-Encoding: identity',
  '\r\nHost: b',
  '\r\nConnection: content-length',
  '\r\nConnection: close',
  '\r\nUpgrade: h2c',
  '\r\nExpect: 100-continue',
  '\r\n folded',
  'HTTP/2.0',
  'HTTP/0.9',
  '0\r\n\r\n',
  'FFFFFFFFFFFFFFFF\r\n',
  '-1\r\n',
  'GET ',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'x'.repeat(3_000),
  'a:\r\n'.repeat(1_100),
].map((text) => Buffer.from(text, 'latin1'));

export type Mutation =
  | { kind: 'insert'; at: number; what: number }
  | { kind: 'delete'; at: number; length: number }
  | { kind: 'set'; at: number; byte: number }
  | { kind: 'cut'; at: number }
  | { kind: 'copy'; at: number; from: number; length: number };

const place = fc.nat(4_000);
export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({
    kind: fc.constant('insert' as const),
    at: place,
    what: fc.nat(splinters.length - 1),
  }),
  fc.record({
    kind: fc.constant('delete' as const),
    at: place,
    length: fc.integer({ min: 1, max: 9 }),
  }),
  fc.record({ kind: fc.constant('set' as const), at: place, byte: fc.nat(255) }),
  fc.record({ kind: fc.constant('cut' as const), at: place }),
  fc.record({
    kind: fc.constant('copy' as const),
    at: place,
    from: place,
    length: fc.integer({ min: 1, max: 40 }),
  }),
);

export function mutated(bytes: Buffer, { ...m }: Mutation): Buffer {
  const at = bytes.length === 0 ? 0 : m.at % (bytes.length + 1);
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (m.kind) {
    case 'insert':
      return Buffer.concat([head, splinters[m.what]!, tail]);
    case 'delete':
      return Buffer.concat([head, tail.subarray(m.length)]);
    case 'set':
      return Buffer.concat([head, Buffer.of(m.byte), tail.subarray(1)]);
    case 'cut':
      return head;
    case 'copy': {
      const from = m.from % (bytes.length + 1);
      return Buffer.concat([head, bytes.subarray(from, from + m.length), tail]);
    }
  }
}

/** One of these texts with up to three mutations. */
export function spoilt(sound: readonly Buffer[]): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.nat(sound.length - 1), fc.array(mutation, { maxLength: 3 }))
    .map(([which, mutations]) => mutations.reduce(mutated, sound[which]!));
}

/** Writes bytes in pieces; gives up quietly when the socket is gone. */
export async function writeInPieces(
  socket: Socket,
  bytes: Buffer,
  splits: readonly number[],
): Promise<void> {
  const cuts = splits.map((split) => split % (bytes.length + 1)).sort((a, b) => a - b);
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    if (socket.destroyed || !socket.writable) return;
    if (cut > from) socket.write(bytes.subarray(from, cut));
    from = cut;
    if (cuts.length > 0) await new Promise((next) => setImmediate(next));
  }
}

/** Collects what would have ended the process, while the tests of a file run. */
export function watchForFaults(): readonly unknown[] {
  const faults: unknown[] = [];
  const note = (fault: unknown) => faults.push(fault);
  before(() => {
    process.on('uncaughtException', note);
    process.on('unhandledRejection', note);
  });
  beforeEach(() => {
    faults.length = 0;
  });
  after(() => {
    process.off('uncaughtException', note);
    process.off('unhandledRejection', note);
  });
  return faults;
}

/** Places that requests hold at origins now. */
export function placesTaken(edge: Edge): number {
  return edge
    .status()
    .sites.flatMap((site) => site.routes)
    .flatMap((route) => route.origins)
    .reduce((sum, origin) => sum + origin.inFlight, 0);
}
