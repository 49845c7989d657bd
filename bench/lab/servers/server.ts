/** The server under test, as the lab sees it: some files, a command, a version. */
import type { Family } from '../topology.ts';

/** Where a server under test runs and what it must serve. */
export interface ServerSite {
  /** `pop-a`. */
  readonly node: string;
  /** Empty directory of this server in this PoP, for its files. */
  readonly directory: string;
  /** The addresses and port of the VIP. */
  readonly listen: readonly {
    readonly host: string;
    readonly port: number;
    readonly family: Family;
  }[];
  /** Static files: `/files/*`. `host:port`, IPv6 in brackets. */
  readonly files: readonly string[];
  /** Everything else: `/upload`, `/events`, `/ws`, `/health`. */
  readonly app: readonly string[];
}

export interface ServerStart {
  /** Written into {@link ServerSite.directory} before the start. */
  readonly files: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** One kind of server under test. Adding one means one file and a line in `registry.ts`. */
export interface ServerDriver {
  readonly name: string;
  /** Programs that must be installed. */
  readonly programs: readonly string[];
  /** The program's own words, one line. */
  version(): Promise<string>;
  /** Pure: says how to run it in one PoP. It must stay in the foreground. */
  plan(site: ServerSite): ServerStart;
}

/** `host:port`, with brackets around an IPv6 address. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
