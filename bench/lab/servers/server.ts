/** The server under test, as the lab sees it: some files, a command, a version. */
import type { ClientMix } from '../clients/event.ts';
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
  /** Where https is served, too, by servers that are asked for it. */
  readonly tls?: {
    readonly port: number;
    readonly certificateFile: string;
    readonly keyFile: string;
  };
  /** Health checks quick enough to watch; else every server has its own pace. */
  readonly quickHealth?: boolean;
  /** Static files: `/files/*`. `host:port`, IPv6 in brackets. */
  readonly files: readonly string[];
  /** Everything else: `/upload`, `/events`, `/ws`, `/health`. */
  readonly app: readonly string[];
  /** How many processes shall share the work, where the server can have several. */
  readonly workers: number;
  /** Directory of all PoPs' servers together, for keys that they must share. */
  readonly sharedDirectory: string;
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
  /** Port of the VIP. Default 80. */
  readonly port?: number;
  /** Its own clients when it does not speak HTTP; they take the place of every scenario's. */
  readonly clients?: ClientMix;
  /** The program's own words, one line. */
  version(): Promise<string>;
  /** Pure: says how to run it in one PoP. It must stay in the foreground. */
  plan(site: ServerSite): ServerStart;
  /** Makes what files alone cannot: keys, a database. Run before each start. */
  prepare?(site: ServerSite): Promise<void>;
  /**
   * A command that succeeds, inside the PoP, once the server serves the VIP. Default: an HTTP
   * request that goes through to the origin.
   */
  ready?(vip: string, port: number): readonly string[];
}

/** `host:port`, with brackets around an IPv6 address. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
