/** The one record of settings that the programs read; changes take effect with the next packet. */

import { CONFIG, VIP } from './layout.ts';
import { type Mapping, mapMemory } from './libbpf.ts';

type Field = Exclude<
  keyof typeof CONFIG,
  'bytes' | 'zero' | 'rest' | 'netns_cookie' | 'vip' | MacField
>;
type MacField = 'tunnel_mac' | 'inner_mac';

const WIDE: ReadonlySet<string> = new Set<Field>([
  'boot',
  'generation',
  'tunnel_ifindex',
  'cookie',
  'hash_seed',
  'homes_table',
  'grace_ms',
  'forget_ms',
  'finds_max',
  'searches_max',
  'births_max',
]);
const BYTE: ReadonlySet<string> = new Set<Field>(['underlay6', 'shared_uplink']);

export class ConfigRegister {
  readonly #mapping: Mapping;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(fd: number) {
    this.#mapping = mapMemory(fd, CONFIG.bytes);
    this.#view = new DataView(this.#mapping.buffer);
    this.#bytes = new Uint8Array(this.#mapping.buffer);
  }

  get(field: Field): number {
    const at = CONFIG[field];
    if (WIDE.has(field)) return this.#view.getUint32(at, true);
    if (BYTE.has(field)) return this.#view.getUint8(at);
    return this.#view.getUint16(at, field !== 'tunnel_port');
  }

  set(field: Field, value: number): void {
    const at = CONFIG[field];
    if (WIDE.has(field)) this.#view.setUint32(at, value, true);
    else if (BYTE.has(field)) this.#view.setUint8(at, value);
    // A port is in network order, as packets have it.
    else this.#view.setUint16(at, value, field !== 'tunnel_port');
  }

  setNetnsCookie(cookie: bigint): void {
    this.#view.setBigUint64(CONFIG.netns_cookie, cookie, true);
  }

  setMac(field: MacField, mac: Uint8Array): void {
    this.#bytes.set(mac.subarray(0, 6), CONFIG[field]);
  }

  /** @param vip As a key of the map of VIPs. Without one, none is known before the map is asked. */
  setVip(vip: Uint8Array = new Uint8Array(VIP.bytes)): void {
    const port = CONFIG.vip + VIP.port;
    // Packets are looked at meanwhile: without a port it is no VIP.
    this.#view.setUint16(port, 0);
    this.#bytes.set(vip.subarray(0, VIP.port), CONFIG.vip);
    this.#bytes.set(vip.subarray(VIP.port, VIP.port + 2), port);
  }

  close(): void {
    this.#mapping.unmap();
  }
}
