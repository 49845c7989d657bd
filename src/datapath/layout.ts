/**
 * The memory that the kernel programs share with us, as offsets in bytes. The other side is
 * bpf/layout.h; test/datapath/layout.test.ts compares both through the BTF of the compiled object.
 * Little-endian machines only: `bpfel`, and keys are read as words.
 */

/** Names the directory of the pins: maps of another layout are never taken over. */
export const LAYOUT = 3;

export const NODES_MAX = 1_024;
export const BUCKETS = 65_536;
export const HOMES = 3;
/** In a row of homes: nobody. */
export const NO_SLOT = 0xffff;
export const COOKIE_MAX = 2 ** 22 - 1;

export const KEY = { bytes: 36, client: 0, vip: 16, client_port: 32, vip_port: 34 } as const;

export const VIP = { bytes: 20, address: 0, port: 16, zero: 18 } as const;

export const CONFIG = {
  bytes: 104,
  netns_cookie: 0,
  boot: 8,
  generation: 12,
  tunnel_ifindex: 16,
  cookie: 20,
  hash_seed: 24,
  homes_table: 28,
  grace_ms: 32,
  forget_ms: 36,
  finds_max: 40,
  searches_max: 44,
  births_max: 48,
  mss4: 52,
  mss6: 54,
  tunnel_port: 56,
  self: 58,
  underlay6: 60,
  shared_uplink: 61,
  tunnel_mac: 62,
  inner_mac: 68,
  source_min: 74,
  source_span: 76,
  zero: 78,
  vip: 80,
  rest: 100,
} as const;

export const NODE = { bytes: 32, address: 0, boot: 16, state: 20, zero: 21 } as const;

export const HOP = {
  bytes: 32,
  until_ns: 0,
  ifindex: 8,
  bytes_max: 12,
  dscp: 14,
  ttl: 15,
  macs: 16,
  zero: 28,
} as const;

/** Values of {@link NODE}.state. */
export const EMPTY = 0;
export const ALIVE = 1;
export const SUSPECT = 2;
export const DEAD = 3;
export const SELF = 4;

export const HOMES_TABLE = { bytes: BUCKETS * HOMES * 2, slot: 0 } as const;

export const TICKET = {
  bytes: 16,
  owner: 0,
  flags: 2,
  source: 3,
  boot: 4,
  told_ms: 8,
  told_entry: 12,
  zero: 14,
} as const;

export const BIRTH = { bytes: 16, name: 0, isn: 8, zero: 12 } as const;
export const OWN = { bytes: 8, generation: 0, bucket: 4, zero: 6 } as const;
export const MISS = { bytes: 16, first_ns: 0, seq: 8, zero: 12 } as const;

export const EVENT = {
  bytes: 48,
  kind: 0,
  detail: 1,
  slot: 2,
  bucket: 4,
  zero: 6,
  generation: 8,
  key: 12,
} as const;

/** Values of {@link EVENT}.kind. */
export const BORN = 1;
export const KEPT = 2;
export const ENDED = 3;
export const SEARCH = 4;
export const SWITCHED = 5;
export const FOUND = 6;
export const REFUSED = 7;

export const ANSWER = { bytes: 8, who: 0, how: 1, slot: 2, bucket: 4, socket: 6, zero: 7 } as const;

export const TRACE = {
  bytes: 36,
  answer: 0,
  own_generation: 8,
  birth_generation: 12,
  ticket_boot: 16,
  ticket_owner: 20,
  ticket_source: 22,
  home: 24,
  zero: 30,
  missing_ms: 32,
} as const;

/** Names of {@link ANSWER}.who, by value. */
export const WHO = ['', 'here', 'there', 'ask', 'unknown', 'lost'] as const;
/** Names of {@link ANSWER}.how, by value. */
export const HOW = ['nothing', 'socket', 'cookie', 'weak', 'ticket', 'home'] as const;

export const ETHERNET_BYTES = 14;
