/** An agent's settings, from the configuration. */
import { createHash } from 'node:crypto';
import { formatHostPort } from '../config/address.ts';
import { clusterKeyBytes } from '../config/cluster-key.ts';
import type { Config } from '../config/schema.ts';
import type { DatapathOptions } from '../datapath/datapath.ts';

export interface AgentSettings {
  readonly node: string;
  readonly pop: string;
  readonly version: string;
  readonly datapath: DatapathOptions;
  readonly graceMs: number;
  readonly mesh: {
    readonly listen: string;
    readonly join: readonly string[];
    readonly keys: readonly Uint8Array[];
    readonly label: string;
  };
  /** See `configDigest` of the mesh. */
  readonly configDigest: number;
  readonly vips: readonly string[];
}

const COOKIE_MASK = 0x3f_ffff;

/**
 * @param config With `mesh` and `datapath`, as {@link checkConfig} made sure.
 * @throws when it lacks them.
 */
export function agentSettings(config: Config, version: string): AgentSettings {
  const { mesh, datapath, vips, node = '', pop = node } = config;
  if (mesh === undefined || datapath === undefined) throw new Error('no mesh, no datapath');
  const { uplink, secret, ...rest } = datapath;
  return {
    node,
    pop,
    version,
    graceMs: datapath.graceMs,
    datapath: {
      ...rest,
      uplinks: uplink,
      vips: vips.map(({ host, port }) => ({ address: host, port })),
      cookie: word(`tunnel ${mesh.label}`) & COOKIE_MASK,
      hashSeed: word(`flows ${mesh.label} ${secret ?? ''}`),
    },
    mesh: {
      listen: mesh.listen,
      join: mesh.join ?? [],
      keys: mesh.keys.map(clusterKeyBytes),
      label: mesh.label,
    },
    configDigest: configDigest(config),
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
      datapath?.tunnelPort,
      datapath?.secret,
    ]),
  );
}

/** 32 bits of a hash. */
function word(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32LE(0);
}
