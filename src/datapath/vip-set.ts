/** The addresses and ports whose connections are kept alive. */
import { type Endpoint, writeAddress, writePort } from './address-bytes.ts';
import type { ConfigRegister } from './config-register.ts';
import { DatapathError } from './datapath-error.ts';
import { VIP } from './layout.ts';
import { callBpf, check } from './libbpf.ts';

/** Entries of the map; each VIP takes one, and each address one more. */
const ENTRIES_MAX = 256;

export class VipSet {
  readonly #fd: number;
  readonly #config: ConfigRegister;

  constructor(fd: number, config: ConfigRegister) {
    this.#fd = fd;
    this.#config = config;
  }

  /** Makes the set equal to `vips`. Those that stay are never missing meanwhile. */
  replace(vips: readonly Endpoint[]): void {
    const wanted = new Map<string, Uint8Array>();
    for (const { address, port } of vips) {
      if (port === 0) throw new DatapathError('ERR_DATAPATH_ARGUMENT', 'a VIP needs a port');
      // The address with port 0 finds fragments, which name no port.
      for (const number of [port, 0]) {
        const key = new Uint8Array(VIP.bytes);
        writeAddress(address, key, VIP.address);
        writePort(number, key, VIP.port);
        wanted.set(Buffer.from(key).toString('hex'), key);
      }
    }
    if (wanted.size > ENTRIES_MAX) {
      throw new DatapathError('ERR_DATAPATH_ARGUMENT', `too many VIPs: at most ${ENTRIES_MAX / 2}`);
    }
    for (const key of wanted.values()) {
      const result = callBpf('bpf_map_update_elem', this.#fd, key, new Uint32Array([1]), 0);
      check(result, 'writing the map of VIPs');
    }
    // The first of its two is that with the port.
    this.#config.setVip(wanted.values().next().value);
    for (const key of this.#keys()) {
      if (!wanted.has(key.toString('hex'))) callBpf('bpf_map_delete_elem', this.#fd, key);
    }
  }

  #keys(): Buffer[] {
    const keys: Buffer[] = [];
    let before: Buffer | null = null;
    for (;;) {
      const next = Buffer.alloc(VIP.bytes);
      if (callBpf('bpf_map_get_next_key', this.#fd, before, next) !== 0) return keys;
      keys.push(next);
      before = next;
    }
  }
}
