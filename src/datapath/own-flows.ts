/** The flows whose sockets this node holds, as the kernel keeps them across agents. */
import { type FlowKey, KEY_WORDS } from '../proto/ticket-key.ts';
import { DatapathError } from './datapath-error.ts';
import { OWN } from './layout.ts';
import { callBpf, E2BIG, EEXIST, ENOENT, ENOSPC, errnoName } from './libbpf.ts';

const BATCH = 8_192;
const VALUE_WORDS = OWN.bytes / 4;
const NOEXIST = 1;

export interface OwnFlow {
  /** Valid only until the next is read. */
  readonly key: FlowKey;
  readonly bucket: number;
  readonly generation: number;
}

export class OwnFlows {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Every established flow. A flow that comes or goes meanwhile may or may not be among them; its
   * event says so.
   */
  *[Symbol.iterator](): Generator<OwnFlow, void, void> {
    const keys = new Uint32Array(BATCH * KEY_WORDS);
    const values = new Uint32Array(BATCH * VALUE_WORDS);
    const count = new Uint32Array(1);
    const token = new Uint32Array(1);
    for (let first = true, done = false; !done; first = false) {
      count[0] = BATCH;
      const from = first ? null : token;
      const fd = this.#fd;
      const result = callBpf('bpf_map_lookup_batch', fd, from, token, keys, values, count, null);
      done = result === -ENOENT;
      if (result < 0 && !done) {
        // ENOSPC means one bucket of the kernel's hash holds more than a batch: never in practice.
        const name = result === -ENOSPC ? 'a bucket is too full' : errnoName(-result);
        throw new DatapathError('ERR_DATAPATH_KERNEL', `reading own flows: ${name}`, -result);
      }
      for (let i = 0; i < count[0]!; i++) {
        yield {
          key: keys.subarray(i * KEY_WORDS, (i + 1) * KEY_WORDS),
          bucket: values[i * VALUE_WORDS + 1]! & 0xffff,
          generation: values[i * VALUE_WORDS]!,
        };
      }
    }
  }

  /** Adds a flow that was there before the datapath. @returns false when it is known already. */
  adopt(key: FlowKey, bucket: number, generation: number): boolean {
    const value = new Uint32Array([generation, bucket]);
    const result = callBpf('bpf_map_update_elem', this.#fd, key, value, NOEXIST);
    if (result === -EEXIST) return false;
    if (result === -E2BIG) {
      throw new DatapathError('ERR_DATAPATH_FULL', 'the map of own flows is full', E2BIG);
    }
    return result === 0;
  }

  remove(key: FlowKey): void {
    callBpf('bpf_map_delete_elem', this.#fd, key);
  }
}
