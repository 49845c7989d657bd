import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { OBJECT_PATH } from '../../src/datapath/kernel-object.ts';
import * as layout from '../../src/datapath/layout.ts';
import { COUNTS, VERDICTS } from '../../src/datapath/verdicts.ts';
import { elfSections, readBtf } from './btf.ts';

const btf = readBtf(elfSections(readFileSync(OBJECT_PATH)).get('.BTF')!);
/** All exported values by name. */
const numbers: Readonly<Record<string, unknown>> = { ...layout };
const header = readFileSync(new URL('../../src/datapath/bpf/layout.h', import.meta.url), 'utf8');

const STRUCTS = {
  hf_key: layout.KEY,
  hf_vip: layout.VIP,
  hf_config: layout.CONFIG,
  hf_node: layout.NODE,
  hf_homes: layout.HOMES_TABLE,
  hf_ticket: layout.TICKET,
  hf_birth: layout.BIRTH,
  hf_own: layout.OWN,
  hf_miss: layout.MISS,
} as const;

for (const [name, ours] of Object.entries(STRUCTS)) {
  test(`TypeScript and the kernel agree on struct ${name}`, () => {
    const theirs = btf.structs.get(name);
    assert.ok(theirs, 'in the BTF of the object');
    const { bytes, ...members } = ours;
    assert.equal(theirs.bytes, bytes);
    assert.deepEqual(Object.fromEntries(theirs.members), members);
  });
}

/** Structs that no map holds are not in the BTF: read them from the header, all members packed. */
function fromHeader(name: string): Record<string, number> {
  const sizes: Record<string, number> = { __u8: 1, __u16: 2, __be16: 2, __u32: 4, __be32: 4 };
  sizes['struct hf_key'] = layout.KEY.bytes;
  sizes['struct hf_answer'] = layout.ANSWER.bytes;
  const body = header.match(new RegExp(`struct ${name} \\{(.*?)\\n\\};`, 's'))![1]!;
  const members: Record<string, number> = {};
  let at = 0;
  for (const [, type, member, count] of body.matchAll(
    /^\t(\S+|struct \S+) (\w+)(?:\[(\w+)\])?;/gm,
  )) {
    members[member!] = at;
    at += sizes[type!]! * (count === undefined ? 1 : count === 'HF_HOMES' ? 3 : Number(count));
  }
  return { bytes: at, ...members };
}

for (const [name, ours] of Object.entries({
  hf_event: layout.EVENT,
  hf_answer: layout.ANSWER,
  hf_trace: layout.TRACE,
})) {
  test(`TypeScript and the kernel agree on struct ${name}`, () => {
    assert.deepEqual(fromHeader(name), { ...ours });
    assert.match(header, new RegExp(`sizeof\\(struct ${name}\\) == ${ours.bytes},`));
  });
}

test('constants of the header are those of TypeScript', () => {
  const define = (name: string) => Number(header.match(new RegExp(`#define ${name} (\\w+)`))![1]);
  assert.equal(define('HF_LAYOUT'), layout.LAYOUT);
  assert.equal(define('HF_NODES_MAX'), layout.NODES_MAX);
  assert.equal(define('HF_BUCKETS'), layout.BUCKETS);
  assert.equal(define('HF_HOMES'), layout.HOMES);
  assert.equal(define('HF_NO_SLOT'), layout.NO_SLOT);
  assert.equal(2 ** define('HF_COOKIE_BITS') - 1, layout.COOKIE_MAX);
});

/** Names of an enum in the order of their values; every value must follow the one before. */
function enumNames(name: string): string[] {
  const body = header.match(new RegExp(`enum ${name} \\{(.*?)\\n\\};`, 's'))![1]!;
  return [...body.matchAll(/^\t(HF_\w+)/gm)].map(([, value]) => value!);
}

test('verdicts have the same names in the same order on both sides', () => {
  const names = enumNames('hf_verdict').map((name) => name.replace('HF_V_', '').toLowerCase());
  assert.deepEqual(names, [...VERDICTS.map(([name]) => name), 'hf_verdicts']);
  const counts = enumNames('hf_count').map((name) => name.replace('HF_C_', '').toLowerCase());
  assert.deepEqual(counts, [...COUNTS.map(([name]) => name), 'hf_counts']);
});

test('kinds of events, states and answers have the same numbers on both sides', () => {
  const number = (name: string) => Number(header.match(new RegExp(`\\b${name} = (\\d+)`))![1]);
  for (const name of ['BORN', 'KEPT', 'ENDED', 'SEARCH', 'SWITCHED', 'FOUND', 'REFUSED'] as const) {
    assert.equal(number(`HF_EV_${name}`), numbers[name], name);
  }
  for (const name of ['EMPTY', 'ALIVE', 'SUSPECT', 'DEAD', 'SELF'] as const) {
    assert.equal(number(`HF_${name}`), numbers[name], name);
  }
  layout.WHO.forEach((name, value) => {
    if (name !== '') assert.equal(number(`HF_${name.toUpperCase()}`), value, name);
  });
  layout.HOW.forEach((name, value) => {
    assert.equal(number(`HF_BY_${name.toUpperCase()}`), value, name);
  });
});
