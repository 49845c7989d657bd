/** The kernel's list of TCP sockets, `/proc/net/tcp` and `tcp6`, of this network namespace. */
import { readFileSync } from 'node:fs';
import { addressText, type Endpoint } from './address-bytes.ts';

/** States as in the kernel's file. */
export const STATE_LISTEN = 0x0a;
/** ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING: a connection with a socket. */
const CONNECTED: ReadonlySet<number> = new Set([0x01, 0x04, 0x05, 0x08, 0x09, 0x0b]);

export interface ListedSocket {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly state: number;
}

/**
 * Reads the kernel's table. Lines that cannot be read are left out.
 * @param keep Chosen by state before anything else is looked at: tables have a million lines.
 */
export function parseSocketList(text: string, keep: (state: number) => boolean): ListedSocket[] {
  const sockets: ListedSocket[] = [];
  const line =
    /^\s*\d+: ([0-9A-F]{8,32}):([0-9A-F]{4}) ([0-9A-F]{8,32}):([0-9A-F]{4}) ([0-9A-F]{2})/gm;
  for (const match of text.matchAll(line)) {
    const state = Number.parseInt(match[5]!, 16);
    if (!keep(state)) continue;
    const local = endpoint(match[1]!, match[2]!);
    const remote = endpoint(match[3]!, match[4]!);
    if (local !== undefined && remote !== undefined) sockets.push({ local, remote, state });
  }
  return sockets;
}

/** Addresses are printed as 32-bit words in the machine's order. */
function endpoint(hex: string, port: string): Endpoint | undefined {
  if (hex.length !== 8 && hex.length !== 32) return undefined;
  const bytes = new Uint8Array(16);
  if (hex.length === 8) bytes.set([0xff, 0xff], 10);
  const start = hex.length === 8 ? 12 : 0;
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < hex.length / 8; i++) {
    view.setUint32(start + 4 * i, Number.parseInt(hex.slice(8 * i, 8 * i + 8), 16), true);
  }
  return { address: addressText(bytes, 0), port: Number.parseInt(port, 16) };
}

function read(keep: (state: number) => boolean): ListedSocket[] {
  const sockets: ListedSocket[] = [];
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    let text: string;
    try {
      text = readFileSync(file, 'latin1');
    } catch {
      continue; // A kernel without IPv6 has no tcp6.
    }
    sockets.push(...parseSocketList(text, keep));
  }
  return sockets;
}

/** Whether anybody, a tunnel of the kernel included, receives on this UDP port. */
export function udpPortInUse(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  for (const file of ['/proc/net/udp', '/proc/net/udp6']) {
    try {
      if (new RegExp(`^\\s*\\d+: [0-9A-F]+:${hex} `, 'm').test(readFileSync(file, 'latin1')))
        return true;
    } catch {
      // A kernel without IPv6.
    }
  }
  return false;
}

/** Connections that have a socket now. */
export function listConnections(): ListedSocket[] {
  return read((state) => CONNECTED.has(state));
}

export function listListeners(): ListedSocket[] {
  return read((state) => state === STATE_LISTEN);
}
