/** Reads the structs of a compiled object's BTF (Documentation/bpf/btf.rst of Linux), for the tests. */

export interface BtfStruct {
  readonly bytes: number;
  readonly members: ReadonlyMap<string, number>;
}

/** Sections of an ELF file, 64 bits, little-endian. */
export function elfSections(file: Buffer): Map<string, Buffer> {
  const table = Number(file.readBigUInt64LE(0x28));
  const entryBytes = file.readUInt16LE(0x3a);
  const count = file.readUInt16LE(0x3c);
  const part = (i: number) => {
    const at = table + i * entryBytes;
    const from = Number(file.readBigUInt64LE(at + 0x18));
    const bytes = Number(file.readBigUInt64LE(at + 0x20));
    return { name: file.readUInt32LE(at), content: file.subarray(from, from + bytes) };
  };
  const names = part(file.readUInt16LE(0x3e)).content;
  const sections = new Map<string, Buffer>();
  for (let i = 1; i < count; i++) {
    const { name, content } = part(i);
    sections.set(text(names, name), content);
  }
  return sections;
}

function text(strings: Buffer, at: number): string {
  return strings.toString('latin1', at, strings.indexOf(0, at));
}

const KIND_STRUCT = 4;
const KIND_UNION = 5;
/** Bytes behind the 12 of each type, by kind: fixed, and per element of vlen. */
const TAIL: Record<number, readonly [number, number]> = {
  1: [4, 0], // int
  3: [12, 0], // array
  4: [0, 12],
  5: [0, 12],
  6: [0, 8], // enum
  13: [0, 8], // function prototype
  14: [4, 0], // variable
  15: [0, 12], // data section
  17: [4, 0], // declaration tag
  19: [0, 12], // enum of 64 bits
};

export interface Btf {
  readonly structs: ReadonlyMap<string, BtfStruct>;
  /** Values of every enum, by name of the value. */
  readonly values: ReadonlyMap<string, number>;
}

export function readBtf(section: Buffer): Btf {
  const headBytes = section.readUInt32LE(4);
  const typesAt = headBytes + section.readUInt32LE(8);
  const typesBytes = section.readUInt32LE(12);
  const strings = section.subarray(headBytes + section.readUInt32LE(16));
  const structs = new Map<string, BtfStruct>();
  const values = new Map<string, number>();
  for (let at = typesAt; at < typesAt + typesBytes; ) {
    const name = text(strings, section.readUInt32LE(at));
    const info = section.readUInt32LE(at + 4);
    const kind = (info >>> 24) & 0x1f;
    const count = info & 0xffff;
    const size = section.readUInt32LE(at + 8);
    at += 12;
    if (kind === KIND_STRUCT || kind === KIND_UNION) {
      const members = new Map<string, number>();
      for (let i = 0; i < count; i++) {
        const bits = section.readUInt32LE(at + 12 * i + 8) & 0xff_ffff;
        members.set(text(strings, section.readUInt32LE(at + 12 * i)), bits / 8);
      }
      structs.set(name, { bytes: size, members });
    } else if (kind === 6) {
      for (let i = 0; i < count; i++) {
        values.set(
          text(strings, section.readUInt32LE(at + 8 * i)),
          section.readInt32LE(at + 8 * i + 4),
        );
      }
    }
    const [fixed, each] = TAIL[kind] ?? [0, 0];
    at += fixed + each * count;
  }
  return { structs, values };
}
