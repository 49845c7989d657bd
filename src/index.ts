/**
 * holdfast as a library: one process, one edge.
 *
 *     import { pino } from 'pino';
 *     import { defineConfig, Edge } from 'holdfast';
 *
 *     const edge = new Edge(
 *       defineConfig({ listen: [':8080'], sites: { '*': '127.0.0.1:3000' } }),
 *       { log: pino(), accessLog: process.stdout },
 *     );
 *     await edge.start();
 *
 * Nodes of one's own share session records and TLS ticket keys by a {@link MeshNode}: examples/mesh.ts.
 *
 * Workers, reload by signal, health checks and the admin server belong to `holdfast run`.
 */
export type { CheckFinding, ConfigCheck } from './config/checks.ts';
export { type DefineOptions, defineConfig } from './config/define.ts';
export { type Change, configDifference } from './config/difference.ts';
export { type LoadedConfig, type LoadOptions, loadConfig, type Override } from './config/load.ts';
export { ConfigError, type ConfigProblem, formatProblem } from './config/problem.ts';
export type { Config, ConfigInput } from './config/schema.ts';
export { Edge, type EdgeDeps, type EdgeStatus } from './edge/edge.ts';
export { HealthChecker, type HealthTarget } from './edge/health-checker.ts';
export { healthTargetsOf } from './edge/route.ts';
export { type ErrorFacts, type ErrorSource, HoldfastError } from './errors.ts';
export { clusterKeyText, parseClusterKey } from './sync/cluster-key.ts';
export { KeyringFileError } from './sync/keyring-file.ts';
export { MeshListenError } from './sync/mesh.ts';
export { MeshNode, type MeshNodeOptions, type SessionRecord } from './sync/mesh-node.ts';
