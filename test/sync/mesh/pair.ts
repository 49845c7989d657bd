/** Two or more cores that talk directly, with real cryptography and a clock that the test moves. */
import type { MeshComponent, MeshNotice } from '../../../src/sync/core.ts';
import { Keyring } from '../../../src/sync/keyring.ts';
import { MeshCore } from '../../../src/sync/mesh-core.ts';
import { nodeCipher } from '../../../src/sync/node-cipher.ts';
import { Random } from '../../../src/sync/random.ts';
import { MEMBERSHIP_DEFAULTS } from '../../../src/sync/settings.ts';

export const SECRET = new Uint8Array(32).fill(1);

export interface Parcel {
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
}

export interface PairNodeOptions {
  readonly secrets?: readonly Uint8Array[];
  readonly label?: string;
  readonly seeds?: readonly string[];
  readonly components?: () => readonly MeshComponent[];
}

export class Pair {
  nowMs = 1_000;
  readonly cores = new Map<string, MeshCore>();
  /** Everything that was ever sent. */
  readonly wire: Parcel[] = [];
  readonly notices: MeshNotice[] = [];
  readonly #inFlight: Parcel[] = [];
  /** Answers false for what shall be lost. */
  passes: (parcel: Parcel) => boolean = () => true;

  add(id: string, options: PairNodeOptions = {}): MeshCore {
    const address = `192.0.2.${this.cores.size + 1}:7946`;
    const label = options.label ?? 'test';
    const core = new MeshCore({
      facts: {
        id,
        pop: 'p',
        address,
        boot: 7,
        run: 100 + this.cores.size,
        configDigest: 1,
        version: '0',
        protocolMin: 1,
        protocolMax: 1,
        draining: false,
      },
      seeds: options.seeds ?? [],
      label,
      settings: MEMBERSHIP_DEFAULTS,
      suite: nodeCipher,
      keyring: new Keyring(nodeCipher, label, options.secrets ?? [SECRET]),
      random: new Random(this.cores.size + 1),
      nowMs: this.nowMs,
      world: {
        datagram: (to, bytes) => {
          const parcel = { from: address, to, bytes };
          this.wire.push(parcel);
          if (this.passes(parcel)) this.#inFlight.push(parcel);
        },
        stream: () => true,
        notify: (notice) => this.notices.push(notice),
      },
      components: options.components ?? (() => []),
    });
    this.cores.set(address, core);
    return core;
  }

  /** Delivers and ticks until `untilMs`, a millisecond at a time. */
  run(forMs: number): void {
    const untilMs = this.nowMs + forMs;
    while (this.nowMs < untilMs) {
      this.nowMs += 1;
      for (const parcel of this.#inFlight.splice(0)) {
        this.cores.get(parcel.to)?.receive(this.nowMs, parcel.bytes, parcel.from);
      }
      for (const core of this.cores.values()) {
        if (core.nextWakeupMs() <= this.nowMs) core.tick(this.nowMs);
      }
    }
  }
}
