/** The compiled programs: opened, their maps taken over or pinned anew, loaded. */
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removePins } from './bpffs.ts';
import { DatapathError } from './datapath-error.ts';
import {
  callBpf,
  callBpfPointer,
  check,
  closeFd,
  errno,
  errnoName,
  type Pointer,
} from './libbpf.ts';

/** Committed beside its sources; bpf/build.sh makes it. */
export const OBJECT_PATH = fileURLToPath(new URL('./bpf/datapath.bpf.o', import.meta.url));

export const MAPS = [
  'hf_config',
  'hf_vips',
  'hf_nodes',
  'hf_members',
  'hf_hops',
  'hf_homes',
  'hf_tickets',
  'hf_births',
  'hf_own',
  'hf_misses',
  'hf_windows',
  'hf_verdicts',
  'hf_ways',
  'hf_counts',
  'hf_events',
] as const;
export type MapName = (typeof MAPS)[number];

export const PROGRAMS = [
  'hf_uplink',
  'hf_tunnel',
  'hf_away',
  'hf_under',
  'hf_state',
  'hf_trace',
] as const;
export type ProgramName = (typeof PROGRAMS)[number];

/** Offset of `max_entries` in `struct bpf_map_info`, and enough of that struct. */
const MAP_INFO_ENTRIES = 16;
const MAP_INFO_BYTES = 64;

const LOG_BYTES = 1 << 20;

export class KernelObject {
  /** True when the maps were there before: their content is that of an earlier agent. */
  readonly inherited: boolean;
  readonly #object: Pointer;
  readonly #maps = new Map<MapName, number>();
  readonly #programs = new Map<ProgramName, number>();

  private constructor(object: Pointer, inherited: boolean) {
    this.#object = object;
    this.inherited = inherited;
  }

  /**
   * Loads the programs on the maps pinned in `directory`, or on new ones which are pinned there.
   * @param entries Sizes of new maps; those of inherited maps stay as they are.
   */
  static load(directory: string, entries: Partial<Record<MapName, number>>): KernelObject {
    const object = callBpfPointer('bpf_object__open_file', OBJECT_PATH, null);
    if (object === null) {
      throw new DatapathError(
        'ERR_DATAPATH_LOAD',
        `cannot open ${OBJECT_PATH}: ${errnoName(errno())}`,
        errno(),
      );
    }
    const inherited: number[] = [];
    try {
      for (const name of MAPS) {
        const fd = callBpf('bpf_obj_get', join(directory, name));
        if (fd < 0) break;
        inherited.push(fd);
      }
      // The directory appears by one rename, so it holds all of them or is not ours to use.
      const whole = inherited.length === MAPS.length;
      const self = new KernelObject(object, whole);
      self.#prepare(whole ? inherited : undefined, entries);
      self.#load();
      if (!whole) self.#pin(directory);
      return self;
    } catch (error) {
      callBpf('bpf_object__close', object);
      throw error;
    } finally {
      for (const fd of inherited) closeFd(fd);
    }
  }

  map(name: MapName): number {
    return this.#maps.get(name)!;
  }

  /** Size of the map in the kernel, that of an inherited one included. */
  entries(name: MapName): number {
    const info = Buffer.alloc(MAP_INFO_BYTES);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(MAP_INFO_BYTES);
    check(callBpf('bpf_obj_get_info_by_fd', this.map(name), info, length), `size of ${name}`);
    return info.readUInt32LE(MAP_INFO_ENTRIES);
  }

  program(name: ProgramName): number {
    return this.#programs.get(name)!;
  }

  /** Closes our handles. What is pinned or attached stays. */
  close(): void {
    callBpf('bpf_object__close', this.#object);
  }

  #prepare(fds: number[] | undefined, entries: Partial<Record<MapName, number>>): void {
    MAPS.forEach((name, i) => {
      const map = this.#map(name);
      if (fds !== undefined) {
        check(callBpf('bpf_map__reuse_fd', map, fds[i]!), `taking over the map ${name}`);
      } else if (entries[name] !== undefined) {
        check(callBpf('bpf_map__set_max_entries', map, entries[name]), `size of ${name}`);
      }
    });
  }

  #load(): void {
    const log = Buffer.alloc(LOG_BYTES);
    const programs = PROGRAMS.map((name) => {
      const program = callBpfPointer('bpf_object__find_program_by_name', this.#object, name);
      if (program === null) {
        throw new DatapathError('ERR_DATAPATH_LOAD', `${OBJECT_PATH} has no program ${name}`);
      }
      callBpf('bpf_program__set_log_buf', program, log, LOG_BYTES);
      return program;
    });
    const result = callBpf('bpf_object__load', this.#object);
    if (result < 0) {
      const text = log.toString('latin1', 0, Math.max(0, log.indexOf(0)));
      const last = text.trim().split('\n').slice(-12).join('\n');
      throw new DatapathError(
        'ERR_DATAPATH_LOAD',
        `the kernel refused the programs: ${errnoName(-result)}; \`holdfast doctor\` says what is missing${last === '' ? '' : `\n${last}`}`,
        -result,
      );
    }
    PROGRAMS.forEach((name, i) => {
      this.#programs.set(name, callBpf('bpf_program__fd', programs[i]!));
    });
    for (const name of MAPS) this.#maps.set(name, callBpf('bpf_map__fd', this.#map(name)));
  }

  #pin(directory: string): void {
    // No dots: the BPF file system keeps them for itself.
    const fresh = `${directory}-new`;
    removePins(fresh);
    removePins(directory);
    mkdirSync(fresh, { recursive: true, mode: 0o700 });
    for (const [name, fd] of this.#maps) {
      check(callBpf('bpf_obj_pin', fd, join(fresh, name)), `pinning ${name} in ${fresh}`);
    }
    renameSync(fresh, directory);
  }

  #map(name: MapName): Pointer {
    const map = callBpfPointer('bpf_object__find_map_by_name', this.#object, name);
    if (map === null) {
      throw new DatapathError('ERR_DATAPATH_LOAD', `${OBJECT_PATH} has no map ${name}`);
    }
    return map;
  }
}
