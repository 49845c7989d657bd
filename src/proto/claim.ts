/**
 * A claim: what somebody says about a node. The unit of gossip.
 *
 * ```proto
 * message Claim {
 *   string id = 1;      uint32 incarnation = 2;  fixed32 run = 3;
 *   uint32 status = 4;  // 0 alive, 1 suspect, 2 dead, 3 left
 *   string accuser = 5; // of suspect and dead: who says so
 *   fixed32 boot = 6;   string pop = 7;          string address = 8;
 *   fixed32 config_digest = 9;                   string version = 10;
 *   uint32 protocol_min = 11;                    uint32 protocol_max = 12;
 *   bool draining = 13;
 * }
 * ```
 * A short claim (no address) says only the status; the receiver must know the facts.
 */
import protobuf from 'protobufjs/minimal.js';

export const ALIVE = 0;
export const SUSPECT = 1;
export const DEAD = 2;
export const LEFT = 3;
export type StatusCode = typeof ALIVE | typeof SUSPECT | typeof DEAD | typeof LEFT;

export interface Claim {
  readonly id: string;
  readonly incarnation: number;
  readonly run: number;
  readonly status: StatusCode;
  /** Empty when the node speaks for itself. */
  readonly accuser: string;
  readonly boot: number;
  readonly pop: string;
  /** Empty in a short claim. */
  readonly address: string;
  readonly configDigest: number;
  readonly version: string;
  readonly protocolMin: number;
  readonly protocolMax: number;
  readonly draining: boolean;
}

const NAME = /^[A-Za-z0-9._-]{1,64}$/;
/** Incarnations are u32; the upper half is refused so that no liar can pin a node at the end. */
export const INCARNATION_MAX = 0x7fff_ffff;

/** @param short leaves out the facts, for gossip about suspect and dead nodes. */
export function encodeClaim(claim: Claim, short = false): Uint8Array {
  const writer = new protobuf.Writer();
  writer.uint32(10).string(claim.id).uint32(16).uint32(claim.incarnation);
  writer.uint32(29).fixed32(claim.run);
  if (claim.status !== ALIVE) writer.uint32(32).uint32(claim.status);
  if (claim.accuser !== '') writer.uint32(42).string(claim.accuser);
  if (short) return writer.finish();
  writer.uint32(53).fixed32(claim.boot).uint32(58).string(claim.pop);
  writer.uint32(66).string(claim.address).uint32(77).fixed32(claim.configDigest);
  writer.uint32(82).string(claim.version);
  writer.uint32(88).uint32(claim.protocolMin).uint32(96).uint32(claim.protocolMax);
  if (claim.draining) writer.uint32(104).bool(true);
  return writer.finish();
}

/** @returns `undefined` when malformed or outside its bounds. Unknown fields are skipped. */
export function decodeClaim(body: Uint8Array): Claim | undefined {
  let id = '';
  let incarnation = 0;
  let run = 0;
  let status = 0;
  let accuser = '';
  let boot = 0;
  let pop = '';
  let address = '';
  let configDigest = 0;
  let version = '';
  let protocolMin = 0;
  let protocolMax = 0;
  let draining = false;
  try {
    const reader = new protobuf.Reader(body);
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      switch (tag) {
        case 10:
          id = reader.string();
          break;
        case 16:
          incarnation = reader.uint32();
          break;
        case 29:
          run = reader.fixed32();
          break;
        case 32:
          status = reader.uint32();
          break;
        case 42:
          accuser = reader.string();
          break;
        case 53:
          boot = reader.fixed32();
          break;
        case 58:
          pop = reader.string();
          break;
        case 66:
          address = reader.string();
          break;
        case 77:
          configDigest = reader.fixed32();
          break;
        case 82:
          version = reader.string();
          break;
        case 88:
          protocolMin = reader.uint32();
          break;
        case 96:
          protocolMax = reader.uint32();
          break;
        case 104:
          draining = reader.bool();
          break;
        default:
          reader.skipType(tag & 7);
      }
    }
  } catch {
    return undefined;
  }
  if (!NAME.test(id) || run === 0 || incarnation === 0 || incarnation > INCARNATION_MAX) {
    return undefined;
  }
  if (status > LEFT || (accuser !== '' && !NAME.test(accuser))) return undefined;
  if (address !== '') {
    if (boot === 0 || !NAME.test(pop) || address.length > 64 || version.length > 32) {
      return undefined;
    }
    if (protocolMin === 0 || protocolMax < protocolMin) return undefined;
  } else if (status === ALIVE) return undefined;
  return {
    id,
    incarnation,
    run,
    status: status as StatusCode,
    accuser,
    boot,
    pop,
    address,
    configDigest,
    version,
    protocolMin,
    protocolMax,
    draining,
  };
}
