/** An agent's settings, from the configuration. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { formatHostPort } from '../config/address.ts';
import { clusterKeyBytes } from '../config/cluster-key.ts';
import type { Config } from '../config/schema.ts';
import type { DatapathOptions } from '../datapath/datapath.ts';

/** What the mesh needs, with or without a datapath. */
export interface MeshPart {
  readonly node: string;
  readonly pop: string;
  readonly version: string;
  readonly mesh: {
    readonly listen: string;
    readonly join: readonly string[];
    readonly keys: readonly Uint8Array[];
    readonly label: string;
    /** File of the cluster keys that came over the wire. */
    readonly keyringFile: string;
    readonly keySettings: { readonly ticketKeyMs: number; readonly ticketKeyLeadMs: number };
  };
  /** See `configDigest` of the mesh. */
  readonly configDigest: number;
}

export interface AgentSettings extends MeshPart {
  readonly datapath: DatapathOptions;
  readonly graceMs: number;
  readonly vips: readonly string[];
}

const COOKIE_MASK = 0x3f_ffff;
const STATE_DIRECTORY = '/var/lib/holdfast';
/** A new TLS ticket key is told this long before it seals; less when keys change very often. */
const TICKET_KEY_LEAD_MS = 30_000;

/** @throws when the configuration has no mesh. */
export function meshPart(config: Config, version: string): MeshPart {
  const { mesh, node = '', pop = node } = config;
  if (mesh === undefined) throw new Error('no mesh');
  const { ticketKeyMs, label } = mesh;
  return {
    node,
    pop,
    version,
    mesh: {
      listen: mesh.listen,
      join: mesh.join ?? [],
      keys: mesh.keys.map(clusterKeyBytes),
      label,
      keyringFile: mesh.keyring ?? defaultKeyring(label, node),
      keySettings: {
        ticketKeyMs,
        ticketKeyLeadMs: Math.min(TICKET_KEY_LEAD_MS, ticketKeyMs / 10),
      },
    },
    configDigest: configDigest(config),
  };
}

/** Where a service manager wants state to be kept, else the usual place. */
export function stateDirectory(): string {
  const [directory = ''] = (process.env.STATE_DIRECTORY ?? '').split(':');
  return directory === '' ? STATE_DIRECTORY : directory;
}

/** Several nodes on one machine have several names. */
function defaultKeyring(label: string, node: string): string {
  return join(stateDirectory(), `keyring-${label}-${node}.json`);
}

/**
 * @param config With `mesh` and `datapath`, as {@link checkConfig} made sure.
 * @throws when it lacks them.
 */
export function agentSettings(config: Config, version: string): AgentSettings {
  const { mesh, datapath, vips } = config;
  if (mesh === undefined || datapath === undefined) throw new Error('no mesh, no datapath');
  const { uplink, secret, ...rest } = datapath;
  return {
    ...meshPart(config, version),
    graceMs: datapath.graceMs,
    datapath: {
      ...rest,
      uplinks: uplink,
      vips: vips.map(({ host, port }) => ({ address: host, port })),
      cookie: word(`tunnel ${mesh.label}`) & COOKIE_MASK,
      hashSeed: word(`flows ${mesh.label} ${secret ?? ''}`),
    },
    vips: vips.map(formatHostPort),
  };
}

/** Over what should be the same on every node: differs when one was forgotten in a roll-out. */
export function configDigest(config: Config): number {
  const { vips, trustedProxies, limits, drain, sites, mesh, datapath } = config;
  return word(
    JSON.stringify([
      vips.map(formatHostPort).sort(),
      trustedProxies,
      limits,
      drain,
      sites,
      mesh?.label,
      mesh?.ticketKeyMs,
      datapath?.tunnelPort,
      datapath?.secret,
    ]),
  );
}

/** 32 bits of a hash. */
function word(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32LE(0);
}
