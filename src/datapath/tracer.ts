/**
 * Asks the kernel program what it would do with the next packet of a flow, by running the program
 * that answers with the very function the packets go through. Also the answer to "does this node
 * hold the socket of this flow?" that a search of another node asks.
 */
import { type FlowKey, KEY_WORDS, writeKey } from '../proto/ticket-key.ts';
import { ANSWER, ETHERNET_BYTES, HOMES, HOW, KEY, NO_SLOT, TRACE, WHO } from './layout.ts';
import { addressOf, callBpf, check } from './libbpf.ts';
import { SOURCES, type TicketSource } from './ticket-table.ts';

/** TCP states of the kernel by number; those of a lookup's result. */
const TCP_STATES = [
  '',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
  'NEW_SYN_RECV',
];

export interface FlowTrace {
  /**
   * What happens to the next packet: `here` local stack, `there` relayed to `slot`, `ask` sent to
   * the home in `slot`, `unknown` dropped for the grace period while the mesh is searched, `lost`
   * reset because the owner is gone.
   */
  readonly who: (typeof WHO)[number];
  /** What decided it. */
  readonly how: (typeof HOW)[number];
  readonly slot: number | undefined;
  readonly bucket: number;
  /** State of what the socket lookup found; `LISTEN` alone means that the flow has no socket. */
  readonly socket: string | undefined;
  readonly ticket:
    | { readonly owner: number; readonly boot: number; readonly source: TicketSource }
    | undefined;
  /** Slots of the row of homes, best first. */
  readonly homes: readonly number[];
  /** Generation of this node's own ticket, established or half-open. */
  readonly own: number | undefined;
  readonly halfOpen: number | undefined;
  /** Since a packet of this flow was first unknown here. */
  readonly missingMs: number | undefined;
}

const PACKET_BYTES = 128;
const OPTIONS_BYTES = 80;
const ANSWER_AT = ETHERNET_BYTES + KEY.bytes;

export class Tracer {
  readonly #program: number;
  readonly #packet = Buffer.allocUnsafeSlow(PACKET_BYTES).fill(0);
  readonly #result = Buffer.allocUnsafeSlow(PACKET_BYTES);
  readonly #options = Buffer.allocUnsafeSlow(OPTIONS_BYTES).fill(0);
  readonly #key = new Uint32Array(KEY_WORDS);

  constructor(program: number) {
    this.#program = program;
    // An Ethernet type for experiments: no parser of the kernel looks inside.
    this.#packet.writeUInt16BE(0x88b5, 12);
    // struct bpf_test_run_opts of libbpf: sz, data_in, data_out, data_size_in, data_size_out, …
    this.#options.writeBigUInt64LE(BigInt(OPTIONS_BYTES), 0);
    this.#options.writeBigUInt64LE(addressOf(this.#packet), 8);
    this.#options.writeBigUInt64LE(addressOf(this.#result), 16);
    this.#options.writeUInt32LE(PACKET_BYTES, 24);
  }

  /** Changes nothing. The sockets are those of the network namespace of the calling thread. */
  trace(key: FlowKey): FlowTrace {
    this.#run(key);
    const result = this.#result;
    const at = ANSWER_AT;
    const slot = result.readUInt16LE(at + ANSWER.slot);
    const owner = result.readUInt16LE(at + TRACE.ticket_owner);
    const boot = result.readUInt32LE(at + TRACE.ticket_boot);
    const source = SOURCES[result.readUInt16LE(at + TRACE.ticket_source)] ?? 'directory';
    const homes: number[] = [];
    for (let i = 0; i < HOMES; i++) {
      const home = result.readUInt16LE(at + TRACE.home + 2 * i);
      if (home !== NO_SLOT) homes.push(home);
    }
    const socket = TCP_STATES[result.readUInt8(at + ANSWER.socket)];
    const optional = (offset: number) => result.readUInt32LE(at + offset) || undefined;
    return {
      who: WHO[result.readUInt8(at + ANSWER.who)] ?? '',
      how: HOW[result.readUInt8(at + ANSWER.how)] ?? 'nothing',
      slot: slot === NO_SLOT ? undefined : slot,
      bucket: result.readUInt16LE(at + ANSWER.bucket),
      socket: socket === '' ? undefined : socket,
      ticket: owner === NO_SLOT ? undefined : { owner, boot, source },
      homes,
      own: optional(TRACE.own_generation),
      halfOpen: optional(TRACE.birth_generation),
      missingMs: optional(TRACE.missing_ms),
    };
  }

  /** Bucket of the flow, as the kernel hashes it. */
  bucketOf(key: FlowKey): number {
    this.#run(key);
    return this.#result.readUInt16LE(ANSWER_AT + ANSWER.bucket);
  }

  /**
   * Whether this node's kernel holds the flow: `socket` for a connection, `weak` for TIME_WAIT or a
   * handshake under way, `undefined` for nothing.
   */
  holds(key: FlowKey): 'socket' | 'weak' | undefined {
    this.#run(key);
    const state = TCP_STATES[this.#result.readUInt8(ANSWER_AT + ANSWER.socket)];
    if (state === '' || state === undefined || state === 'LISTEN' || state === 'CLOSE') {
      return undefined;
    }
    return state === 'TIME_WAIT' || state === 'NEW_SYN_RECV' ? 'weak' : 'socket';
  }

  #run(key: FlowKey): void {
    this.#key.set(key);
    writeKey(this.#key, this.#packet, ETHERNET_BYTES);
    this.#options.writeUInt32LE(PACKET_BYTES, 28);
    const result = callBpf('bpf_prog_test_run_opts', this.#program, this.#options);
    check(result, 'asking the datapath about a flow');
  }
}
