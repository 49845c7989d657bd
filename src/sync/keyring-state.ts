/** The keyring between two processes of a node: as a text, and how it meets the configuration. */
import type { CipherSuite } from './cipher-suite.ts';
import { clusterKeyText, keyIdText, parseClusterKey, parseKeyId } from './cluster-key.ts';
import { CLUSTER_KEYS_MAX, clusterKeyId } from './keyring.ts';

const FORMAT = 'holdfast keyring 1';
const RETIRED_MAX = 32;

/** What `holdfast keys` made of the keyring. */
export interface StoredRing {
  /** Name of the cluster. */
  readonly label: string;
  /** Cluster keys, the used one first. */
  readonly secrets: readonly Uint8Array[];
  /** How often the used key was changed over the wire. */
  readonly useVersion: number;
  /** Ids of keys that must never come back. */
  readonly retired: readonly number[];
}

/** With what keys a process starts. */
export interface StartingRing {
  /** The used one first. */
  readonly secrets: readonly Uint8Array[];
  readonly useVersion: number;
  readonly retired: readonly number[];
  /** Ids of configured keys that were retired: they can be taken out of the configuration. */
  readonly dead: readonly number[];
  /**
   * `configured`: nothing was stored. `continued`: the stored ring, and what the configuration has
   * beside it. `replaced`: the configuration alone, since all its keys are new.
   */
  readonly origin: 'configured' | 'continued' | 'replaced';
}

/**
 * Which keys count. A stored ring goes before the configuration: keys that it lacks are added and
 * accepted, its retired ones stay away whatever the configuration says. Only a configuration without
 * a single key that the ring knows, not even as retired, starts anew: so a leaked ring is left behind.
 */
export function startingRing(
  suite: CipherSuite,
  configured: readonly Uint8Array[],
  stored: StoredRing | undefined,
): StartingRing {
  if (stored === undefined) {
    return { secrets: configured, useVersion: 0, retired: [], dead: [], origin: 'configured' };
  }
  const idOf = (secret: Uint8Array): number => clusterKeyId(suite, secret);
  const { retired } = stored;
  const kept = new Set(stored.secrets.map(idOf));
  const ids = configured.map(idOf);
  if (!ids.some((id) => kept.has(id) || retired.includes(id))) {
    return { secrets: configured, useVersion: 0, retired, dead: [], origin: 'replaced' };
  }
  const further = configured.filter((_, i) => !kept.has(ids[i]!) && !retired.includes(ids[i]!));
  return {
    secrets: [...stored.secrets, ...further].slice(0, CLUSTER_KEYS_MAX),
    useVersion: stored.useVersion,
    retired,
    dead: ids.filter((id) => retired.includes(id)),
    origin: 'continued',
  };
}

/** JSON, for a file that nobody else may read. */
export function ringText({ label, secrets, useVersion, retired }: StoredRing): string {
  const ring = {
    format: FORMAT,
    label,
    useVersion,
    keys: secrets.map(clusterKeyText),
    retired: retired.map(keyIdText),
  };
  return `${JSON.stringify(ring, null, 2)}\n`;
}

/** @returns `undefined` for anything but what {@link ringText} gives. Never throws, shows no secret. */
export function parseRing(text: string): StoredRing | undefined {
  try {
    const ring = JSON.parse(text) as Record<string, unknown> | null;
    if (typeof ring !== 'object' || ring?.format !== FORMAT) return undefined;
    const { label, useVersion, keys, retired } = ring;
    if (typeof label !== 'string' || !isCount(useVersion)) return undefined;
    if (!isTexts(keys, CLUSTER_KEYS_MAX) || keys.length === 0) return undefined;
    if (!isTexts(retired, RETIRED_MAX)) return undefined;
    const ids = retired.map((id) => parseKeyId(id));
    if (ids.some((id) => id === undefined)) return undefined;
    return { label, useVersion, secrets: keys.map(parseClusterKey), retired: ids as number[] };
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 0xffff_ffff;
}

function isTexts(value: unknown, most: number): value is string[] {
  return (
    Array.isArray(value) && value.length <= most && value.every((each) => typeof each === 'string')
  );
}
