/**
 * The VXLAN device between the nodes. Everything that the tunnel needs hangs on this device (its
 * address, its sysctls), so that deleting it leaves the machine as it was.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { DatapathError } from './datapath-error.ts';
import { type Device, ip, listDevices } from './iproute.ts';

/** Says that a device is ours to delete. */
const ALIAS = 'holdfast tunnel';

/**
 * The same on every node, so that no node needs to know another's; locally administered. The source
 * must differ, or the kernel drops what seems to come from itself.
 */
export const TUNNEL_MAC = Uint8Array.of(0x02, 0x68, 0x66, 0, 0, 0x01);
export const INNER_MAC = Uint8Array.of(0x02, 0x68, 0x66, 0, 0, 0x02);

/**
 * Link-local and on this device alone: without any address the kernel drops what arrives, whatever
 * `rp_filter` says.
 */
const ADDRESS = '169.254.104.102/32';

/** The tunnel carries segments that GRO joined; real packets are kept short by the MSS. */
const MTU_BYTES = 65_000;

export interface TunnelOptions {
  /** Name of the device, at most 15 characters. */
  readonly device: string;
  readonly port: number;
}

function macText(mac: Uint8Array): string {
  return [...mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Makes the device, or takes the one of an earlier agent. @returns it, up. */
export function ensureTunnel({ device, port }: TunnelOptions): Device {
  const before = findDevice(device);
  if (before !== undefined && before.alias !== ALIAS) {
    throw new DatapathError(
      'ERR_DATAPATH_IP',
      `there is a device ${device} that is not ours; choose another name for the tunnel`,
    );
  }
  if (before === undefined) {
    const words = `link add name ${device} address ${macText(TUNNEL_MAC)} mtu ${MTU_BYTES}`;
    try {
      ip(...words.split(' '), 'type', 'vxlan', 'external', 'nolearning', 'dstport', `${port}`);
    } catch (cause) {
      throw new DatapathError(
        'ERR_DATAPATH_IP',
        `cannot make the tunnel device; the kernel needs VXLAN, and UDP port ${port} must be free: ${(cause as Error).message}`,
        0,
        cause,
      );
    }
    ip('link', 'set', 'dev', device, 'alias', ALIAS);
  }
  settle(device);
  return findDevice(device)!;
}

/** Idempotent: a change by hand is mended by the next start. */
function settle(device: string): void {
  const ipv4 = `/proc/sys/net/ipv4/conf/${device}`;
  const ipv6 = `/proc/sys/net/ipv6/conf/${device}`;
  // Clients' packets come in here and their answers leave by the uplink: only loose checking fits,
  // and better none, because ICMP errors come from routers that this node may have no route to. The
  // kernel takes the higher of this and `all`: a strict `all` is overruled.
  const all = readFileSync('/proc/sys/net/ipv4/conf/all/rp_filter', 'latin1').trim();
  writeFileSync(`${ipv4}/rp_filter`, all === '0' ? '0' : '2');
  if (existsSync(ipv6)) {
    writeFileSync(`${ipv6}/disable_ipv6`, '0');
    writeFileSync(`${ipv6}/accept_dad`, '0');
    writeFileSync(`${ipv6}/accept_ra`, '0');
  }
  ip('address', 'replace', ADDRESS, 'dev', device, 'scope', 'link');
  ip('link', 'set', 'dev', device, 'up');
}

/** Deletes the device if it is ours. */
export function removeTunnel(device: string): void {
  if (findDevice(device)?.alias === ALIAS) ip('link', 'delete', 'dev', device);
}

export function findDevice(name: string): Device | undefined {
  return listDevices().find((device) => device.name === name);
}

/** Bytes around the client's IP packet: outer IP, UDP, VXLAN, inner Ethernet. */
export function tunnelOverheadBytes(underlay6: boolean): number {
  return (underlay6 ? 40 : 20) + 8 + 8 + 14;
}
