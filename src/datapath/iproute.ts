/** Questions and orders to `ip` of iproute2, in the network namespace of this process. */
import { spawnSync } from 'node:child_process';
import { DatapathError } from './datapath-error.ts';

const ANSWER_BYTES_MAX = 16 << 20;
const TIMEOUT_MS = 10_000;

/** @throws DatapathError with what `ip` said. @returns its output. */
export function ip(...words: string[]): string {
  const result = spawnSync('ip', words, {
    encoding: 'utf8',
    maxBuffer: ANSWER_BYTES_MAX,
    timeout: TIMEOUT_MS,
  });
  if (result.error !== undefined) {
    const missing = (result.error as NodeJS.ErrnoException).code === 'ENOENT';
    const mend = missing ? 'install iproute2' : result.error.message;
    throw new DatapathError('ERR_DATAPATH_IP', `cannot run ip: ${mend}`, 0, result.error);
  }
  if (result.status !== 0) {
    throw new DatapathError('ERR_DATAPATH_IP', `ip ${words.join(' ')}: ${result.stderr.trim()}`);
  }
  return result.stdout;
}

export interface Device {
  readonly name: string;
  readonly ifindex: number;
  readonly mtuBytes: number;
  /** `ether`, `loopback`, `none` … */
  readonly linkType: string;
  readonly mac: string;
  readonly up: boolean;
  /** `vxlan`, `veth` …; empty for a plain one. */
  readonly kind: string;
  readonly alias: string;
  readonly addresses: readonly string[];
}

interface IpLink {
  ifname?: string;
  ifindex?: number;
  mtu?: number;
  link_type?: string;
  address?: string;
  flags?: string[];
  ifalias?: string;
  linkinfo?: { info_kind?: string };
  addr_info?: { local?: string }[];
}

/** Every device of the namespace, with its addresses. */
export function listDevices(): Device[] {
  const links = JSON.parse(ip('-j', '-d', 'address', 'show')) as IpLink[];
  return links
    .filter((link) => link.ifname !== undefined)
    .map((link) => ({
      name: link.ifname!,
      ifindex: link.ifindex ?? 0,
      mtuBytes: link.mtu ?? 0,
      linkType: link.link_type ?? '',
      mac: link.address ?? '',
      up: link.flags?.includes('UP') ?? false,
      kind: link.linkinfo?.info_kind ?? '',
      alias: link.ifalias ?? '',
      addresses: (link.addr_info ?? []).flatMap(({ local }) =>
        local === undefined ? [] : [local],
      ),
    }));
}
