/** The counts of verdicts, summed over the processors. */
import { callBpf, check } from './libbpf.ts';
import {
  COUNTS,
  type CountName,
  VERDICTS,
  type VerdictName,
  WAYS,
  type WayName,
} from './verdicts.ts';

export class PerCpuCounts<Name extends string> {
  readonly #fd: number;
  readonly #names: readonly Name[];
  readonly #cpus = check(callBpf('libbpf_num_possible_cpus'), 'counting processors');
  readonly #index = new Uint32Array(1);
  readonly #values: BigUint64Array;

  constructor(fd: number, names: readonly Name[]) {
    this.#fd = fd;
    this.#names = names;
    this.#values = new BigUint64Array(this.#cpus);
  }

  /** Counts since the maps were made; they only rise. Exact below 2^53. */
  read(): Record<Name, number> {
    const result: Partial<Record<Name, number>> = {};
    this.#names.forEach((name, i) => {
      this.#index[0] = i;
      const status = callBpf('bpf_map_lookup_elem', this.#fd, this.#index, this.#values);
      check(status, 'reading a counter');
      let sum = 0n;
      for (const value of this.#values) sum += value;
      result[name] = Number(sum);
    });
    return result as Record<Name, number>;
  }
}

export function verdictCounters(fd: number): PerCpuCounts<VerdictName> {
  return new PerCpuCounts(
    fd,
    VERDICTS.map(([name]) => name),
  );
}

export function wayCounters(fd: number): PerCpuCounts<WayName> {
  return new PerCpuCounts(
    fd,
    WAYS.map(([name]) => name),
  );
}

export function otherCounters(fd: number): PerCpuCounts<CountName> {
  return new PerCpuCounts(
    fd,
    COUNTS.map(([name]) => name),
  );
}
