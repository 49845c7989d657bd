/** What a contender is told, and what it must tell. */

/** Where one contender serves in one scenario. */
export interface BenchSite {
  /** Of its own, for its files; removed at the end. */
  readonly directory: string;
  /** It listens on 127.0.0.1 at this port. */
  readonly port: number;
  /** The one origin, on 127.0.0.1 too. */
  readonly originPort: number;
  /** Tunnels that it must be able to carry at once. */
  readonly tunnels: number;
}

export interface Launch {
  /** Written into the site's directory before the start; text by name. */
  readonly files: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
  /** Standard output goes to this file. */
  readonly stdoutFile?: string;
}

/** A proxy that takes part. Each has one worker. */
export interface Contender {
  readonly name: string;
  /** It carries WebSockets. */
  readonly tunnels: boolean;
  /** It writes a line for each request to a file. */
  readonly accessLog: boolean;
  /** Why it cannot take part here, or `undefined`. */
  missing(): string | undefined;
  version(): string;
  launch(site: BenchSite): Launch;
}
