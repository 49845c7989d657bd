import { PROTOCOL_MAX, PROTOCOL_MIN } from '../../src/proto/protocol.ts';
import type { Member } from '../../src/sync/core.ts';

/** A live node for benchmarks and tests in which only its name matters, or what `changes` says. */
export function memberNamed(id: string, changes: Partial<Member> = {}): Member {
  return {
    id,
    pop: 'p',
    address: '192.0.2.1:7946',
    boot: 1,
    run: 1,
    configDigest: 0,
    version: '0',
    protocolMin: PROTOCOL_MIN,
    protocolMax: PROTOCOL_MAX,
    draining: false,
    status: 'alive',
    incarnation: 0,
    ...changes,
  };
}
