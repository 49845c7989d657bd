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
import { WireReader } from './wire-reader.ts';
import { readText } from './wire-text.ts';

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

const NOTHING = new Uint8Array(0);
const NAME_BYTES_MAX = 64;
/** 1 for each byte that a name may have. */
const IN_NAMES = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[A-Za-z0-9._-]/.test(String.fromCharCode(byte)) ? 1 : 0,
);
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

/** Where a text stands. */
class Span {
  from = 0;
  end = 0;

  get length(): number {
    return this.end - this.from;
  }

  clear(): void {
    this.from = 0;
    this.end = 0;
  }

  take(wire: WireReader): void {
    wire.span();
    this.from = wire.from;
    this.end = wire.at;
  }

  text(bytes: Uint8Array): string {
    return readText(bytes, this.from, this.end);
  }

  /** @param most UTF-16 units, of which there are never more than bytes. */
  isLonger(bytes: Uint8Array, most: number): boolean {
    return this.length > most && this.text(bytes).length > most;
  }
}

/**
 * A claim as it lies in its bytes. Most claims that arrive say what is known already, and whom they
 * are about, in which life and how it is, tells that: the rest becomes a {@link Claim} on demand.
 */
export class ClaimReader {
  id = '';
  incarnation = 0;
  run = 0;
  status: StatusCode = ALIVE;
  readonly #wire = new WireReader();
  readonly #accuser = new Span();
  readonly #pop = new Span();
  readonly #address = new Span();
  readonly #version = new Span();
  #bytes: Uint8Array = NOTHING;
  #boot = 0;
  #configDigest = 0;
  #protocolMin = 0;
  #protocolMax = 0;
  #draining = false;

  /**
   * Reads the claim in `bytes`, which must stay as they are until {@link claim} was called. Unknown
   * fields are skipped.
   * @returns false when it is malformed or outside its bounds.
   */
  read(bytes: Uint8Array, from = 0, end = bytes.length): boolean {
    const wire = this.#wire;
    wire.open(bytes, from, end);
    this.#clear();
    this.#bytes = bytes;
    let idFrom = 0;
    let idEnd = 0;
    let status = 0;
    while (wire.more) {
      const tag = wire.uint32();
      switch (tag) {
        case 10:
          wire.span();
          idFrom = wire.from;
          idEnd = wire.at;
          break;
        case 16:
          this.incarnation = wire.uint32();
          break;
        case 29:
          this.run = wire.fixed32();
          break;
        case 32:
          status = wire.uint32();
          break;
        case 42:
          this.#accuser.take(wire);
          break;
        case 53:
          this.#boot = wire.fixed32();
          break;
        case 58:
          this.#pop.take(wire);
          break;
        case 66:
          this.#address.take(wire);
          break;
        case 77:
          this.#configDigest = wire.fixed32();
          break;
        case 82:
          this.#version.take(wire);
          break;
        case 88:
          this.#protocolMin = wire.uint32();
          break;
        case 96:
          this.#protocolMax = wire.uint32();
          break;
        case 104:
          this.#draining = wire.bool();
          break;
        default:
          wire.skip(tag & 7);
      }
    }
    if (!wire.sound || !isName(bytes, idFrom, idEnd) || status > LEFT) return false;
    this.id = readText(bytes, idFrom, idEnd);
    this.status = status as StatusCode;
    return this.#isBounded();
  }

  /** Of what was read last; see {@link Claim}. */
  get accuser(): string {
    return this.#accuser.text(this.#bytes);
  }

  /** What was read last. */
  claim(): Claim {
    return {
      id: this.id,
      incarnation: this.incarnation,
      run: this.run,
      status: this.status,
      accuser: this.accuser,
      boot: this.#boot,
      pop: this.#pop.text(this.#bytes),
      address: this.#address.text(this.#bytes),
      configDigest: this.#configDigest,
      version: this.#version.text(this.#bytes),
      protocolMin: this.#protocolMin,
      protocolMax: this.#protocolMax,
      draining: this.#draining,
    };
  }

  #clear(): void {
    this.incarnation = 0;
    this.run = 0;
    this.#accuser.clear();
    this.#boot = 0;
    this.#pop.clear();
    this.#address.clear();
    this.#configDigest = 0;
    this.#version.clear();
    this.#protocolMin = 0;
    this.#protocolMax = 0;
    this.#draining = false;
  }

  #isBounded(): boolean {
    const bytes = this.#bytes;
    if (this.run === 0 || this.incarnation === 0 || this.incarnation > INCARNATION_MAX)
      return false;
    const accuser = this.#accuser;
    if (accuser.length > 0 && !isName(bytes, accuser.from, accuser.end)) return false;
    if (this.#address.length === 0) return this.status !== ALIVE;
    if (this.#boot === 0 || !isName(bytes, this.#pop.from, this.#pop.end)) return false;
    if (this.#address.isLonger(bytes, 64) || this.#version.isLonger(bytes, 32)) return false;
    return this.#protocolMin !== 0 && this.#protocolMax >= this.#protocolMin;
  }
}

const reader = new ClaimReader();

/** @returns `undefined` when malformed or outside its bounds. Unknown fields are skipped. */
export function decodeClaim(body: Uint8Array): Claim | undefined {
  return reader.read(body) ? reader.claim() : undefined;
}

/** As the pattern `[A-Za-z0-9._-]{1,64}`. */
function isName(bytes: Uint8Array, from: number, end: number): boolean {
  if (end === from || end - from > NAME_BYTES_MAX) return false;
  for (let i = from; i < end; i++) if (IN_NAMES[bytes[i]!] === 0) return false;
  return true;
}
