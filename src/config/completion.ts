/** From plain values to a complete configuration: schema, checks, certificates, defaults. */
import { availableParallelism, hostname } from 'node:os';
import { resolve } from 'node:path';
import { checkCertificate } from './certificate.ts';
import { type CheckFinding, type ConfigCheck, checkConfig, type Purpose } from './checks.ts';
import { findingsOf, issueText } from './issue.ts';
import {
  byPlace,
  ConfigError,
  type ConfigPath,
  type ConfigPlace,
  type ConfigProblem,
  formatPath,
} from './problem.ts';
import { type Config, configSchema } from './schema.ts';

/** Where values were written, so that problems can say so. */
export interface Origination {
  locate(path: ConfigPath, atKey?: boolean): ConfigPlace;
  /** The path as it was written, without parts that a shorthand stands for. */
  shorten(path: ConfigPath): ConfigPath;
}

export interface CompletionOptions {
  /** Directory that relative file names in the configuration start from. */
  readonly baseDir: string;
  /** Wall clock, milliseconds, for the expiry of certificates. */
  readonly nowMs: number;
  /** Checks of other rooms. */
  readonly check?: ConfigCheck | undefined;
  /** Default `edge`. */
  readonly purpose?: Purpose | undefined;
  /** Values that no problem may show. */
  readonly secrets?: readonly string[];
}

export interface Completed {
  readonly config: Config;
  readonly warnings: readonly ConfigProblem[];
}

/** Throws {@link ConfigError} with every error found. */
export function completeConfig(
  value: unknown,
  origination: Origination,
  options: CompletionOptions,
): Completed {
  const hide = hider(options.secrets ?? []);
  const problem = (path: ConfigPath, message: string, atKey = false): ConfigProblem => ({
    ...origination.locate(path, atKey),
    // An unknown key is named in the text already.
    path: formatPath(origination.shorten(atKey ? path.slice(0, -1) : path)),
    message: hide(message),
  });
  const parsed = configSchema.safeParse(value, { error: issueText, reportInput: true });
  if (!parsed.success) {
    const problems = findingsOf(parsed.error.issues).map((finding) =>
      problem(finding.path, finding.message, finding.atKey),
    );
    throw new ConfigError(problems.sort(byPlace));
  }
  const findings: CheckFinding[] = [];
  const config = withCertificates(withDefaults(parsed.data, options.baseDir), options, findings);
  findings.push(...checkConfig(config, options.purpose), ...(options.check?.(config) ?? []));
  const said = (warning: boolean) =>
    findings
      .filter((finding) => finding.warning === warning)
      .map((finding) => problem(finding.path, finding.message))
      .sort(byPlace);
  const errors = said(false);
  if (errors.length > 0) throw new ConfigError(errors);
  return { config, warnings: said(true) };
}

/** Fills in what depends on the machine. */
function withDefaults(config: Config, baseDir: string): Config {
  const { accessLog } = config;
  const node = config.node ?? nodeName();
  return {
    ...config,
    node,
    pop: config.pop ?? node,
    workers: config.workers ?? availableParallelism(),
    accessLog:
      typeof accessLog === 'string' ? accessLog : { file: resolve(baseDir, accessLog.file) },
  };
}

/** The host name, as far as it can be a node's name. */
function nodeName(): string {
  return (
    hostname()
      .replaceAll(/[^A-Za-z0-9._-]/g, '-')
      .slice(0, 64) || 'node'
  );
}

/** The same configuration with PEM texts in place of file names. */
function withCertificates(
  config: Config,
  options: CompletionOptions,
  findings: CheckFinding[],
): Config {
  const sites: Config['sites'] = {};
  for (const [host, site] of Object.entries(config.sites)) {
    const tls = site.tls?.map((pair, i) => {
      const checked = checkCertificate(pair, options.baseDir, [host], options.nowMs);
      for (const { part, message, warning } of checked.findings) {
        findings.push({ path: ['sites', host, 'tls', i, part], message, warning });
      }
      return { cert: checked.cert, key: checked.key };
    });
    sites[host] = tls === undefined ? site : { ...site, tls };
  }
  return { ...config, sites };
}

/** Takes secrets out of a text. Those of under four characters hide nothing and would garble it. */
function hider(secrets: readonly string[]): (text: string) => string {
  const shapes = secrets
    .filter((secret) => secret.length >= 4)
    // Error texts show values as JSON, and long ones only in part.
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), secret.slice(0, 50)]);
  return (text) => shapes.reduce((shown, secret) => shown.replaceAll(secret, '(hidden)'), text);
}
