/**
 * What is announced, written into the kernel: an address with a short life on one of three devices
 * that lead nowhere. A route by way of that address stands while somebody renews it; when nobody
 * does, the kernel removes the address and the BGP daemon withdraws by itself.
 */
import { writeFileSync } from 'node:fs';
import { AnnounceDriverError } from './driver.ts';
import { type ProgramResult, runProgram } from './process.ts';
import { ANNOUNCED_STATES, type AnnouncedState, type AnnounceState, worst } from './state.ts';

export type Family = 4 | 6;

/** The device says which state; the addresses are the same on all three. */
export const MARKER_DEVICES: Readonly<Record<AnnouncedState, string>> = {
  up: 'hf-up',
  degraded: 'hf-degraded',
  draining: 'hf-draining',
};
/** Our end of the marker's network. */
const MARKER_ADDRESSES: Readonly<Record<Family, string>> = {
  4: '169.254.104.105/30',
  6: 'fd68:6f6c:6466:6173::1/126',
};
/**
 * The same once more, other for each state: daemons such as FRR do not follow a network that moves
 * from one device to another.
 */
const STATE_ADDRESSES: Readonly<Record<AnnouncedState, Readonly<Record<Family, string>>>> = {
  up: { 4: '169.254.104.109/30', 6: 'fd68:6f6c:6466:6173::5/126' },
  degraded: { 4: '169.254.104.113/30', 6: 'fd68:6f6c:6466:6173::9/126' },
  draining: { 4: '169.254.104.117/30', 6: 'fd68:6f6c:6466:6173::d/126' },
};
/** What routes go by that are of one state. */
export const STATE_GATEWAYS: Readonly<Record<AnnouncedState, Readonly<Record<Family, string>>>> = {
  up: { 4: '169.254.104.110', 6: 'fd68:6f6c:6466:6173::6' },
  degraded: { 4: '169.254.104.114', 6: 'fd68:6f6c:6466:6173::a' },
  draining: { 4: '169.254.104.118', 6: 'fd68:6f6c:6466:6173::e' },
};
/** What routes go by: nobody is there. */
export const MARKER_GATEWAYS: Readonly<Record<Family, string>> = {
  4: '169.254.104.106',
  6: 'fd68:6f6c:6466:6173::2',
};
const ALIAS = 'holdfast: what is announced';
const TIMEOUT_MS = 5_000;

interface IpLink {
  readonly ifname?: string;
  readonly ifalias?: string;
  readonly addr_info?: readonly { readonly local?: string; readonly valid_life_time?: number }[];
}

export class Marker {
  readonly #families: readonly Family[];
  readonly #lifeS: number;
  #applied: AnnounceState | undefined;
  #devicesReady = false;

  /** @param lifeMs An address that is not renewed ends after this; whole seconds. */
  constructor(families: readonly Family[], lifeMs: number) {
    this.#families = families;
    this.#lifeS = Math.ceil(lifeMs / 1_000);
  }

  /** The state whose marker is alive; the worse one in the middle of a change. */
  async found(): Promise<AnnounceState> {
    const links = await listLinks();
    const alive = ANNOUNCED_STATES.filter((state) =>
      this.#holders(links).includes(MARKER_DEVICES[state]),
    );
    return alive.length === 0 ? 'down' : worst(alive);
  }

  /** Devices that carry a marker address now. */
  async devices(): Promise<string[]> {
    return this.#holders(await listLinks());
  }

  /** Sets or renews. The new marker is there before the old one goes, so no route is missed. */
  async set(state: AnnounceState): Promise<void> {
    if (!this.#devicesReady) await this.#makeDevices();
    const life = `valid_lft ${this.#lifeS} preferred_lft 0`;
    if (state !== 'down') {
      const device = MARKER_DEVICES[state];
      const lines = this.#families.flatMap((family) =>
        [MARKER_ADDRESSES[family], STATE_ADDRESSES[state][family]].map(
          (address) =>
            `address replace ${address} dev ${device} ${family === 4 ? 'scope link' : 'nodad'} ${life}`,
        ),
      );
      try {
        await ipBatch(lines);
      } catch (error) {
        // Somebody removed the device: made anew at the next try.
        this.#devicesReady = false;
        throw error;
      }
    }
    if (this.#applied === state) return;
    const others = ANNOUNCED_STATES.filter((other) => other !== state);
    await removeAddresses(others.map((other) => MARKER_DEVICES[other]));
    this.#applied = state;
  }

  #holders(links: readonly IpLink[]): string[] {
    const wanted = this.#families.map((family) => MARKER_ADDRESSES[family].split('/')[0]);
    return links
      .filter((link) => (link.addr_info ?? []).some(({ local }) => wanted.includes(local ?? '')))
      .map(({ ifname = '' }) => ifname)
      .filter((name) => Object.values(MARKER_DEVICES).includes(name));
  }

  async #makeDevices(): Promise<void> {
    const links = await listLinks();
    for (const device of Object.values(MARKER_DEVICES)) {
      const known = links.find(({ ifname }) => ifname === device);
      if (known !== undefined && known.ifalias !== ALIAS) {
        throw new AnnounceDriverError(
          `there is a device ${device} already, and it is not holdfast's: rename it`,
        );
      }
      if (known === undefined) await makeDevice(device);
    }
    this.#applied = undefined;
    this.#devicesReady = true;
  }
}

/** Takes the devices away, and with them every route by the marker. */
export async function removeMarker(): Promise<void> {
  const links = await listLinks();
  const ours = links.filter(({ ifalias }) => ifalias === ALIAS);
  await ipBatch(ours.map(({ ifname = '' }) => `link delete dev ${ifname}`));
}

/** A device without a cable: a dummy or, in kernels without, a bridge without ports. */
async function makeDevice(device: string): Promise<void> {
  try {
    await ipBatch([`link add name ${device} type dummy`]);
  } catch {
    await ipBatch([`link add name ${device} type bridge`]);
  }
  try {
    // A machine that turns IPv6 off for new devices may announce IPv6 all the same.
    writeFileSync(`/proc/sys/net/ipv6/conf/${device}/disable_ipv6`, '0');
  } catch {
    // No IPv6 in this kernel: the address says so if it is needed.
  }
  await ipBatch([
    `link set dev ${device} alias "${ALIAS}"`,
    `link set dev ${device} addrgenmode none`,
    `link set dev ${device} up`,
  ]);
}

async function removeAddresses(devices: readonly string[]): Promise<void> {
  await ipBatch(devices.map((device) => `address flush dev ${device}`));
}

async function listLinks(): Promise<IpLink[]> {
  const result = await runProgram(['ip', '-j', '-d', 'address', 'show'], { timeoutMs: TIMEOUT_MS });
  requireSuccess(result, 'ip address show');
  try {
    return JSON.parse(result.stdout) as IpLink[];
  } catch (error) {
    throw new AnnounceDriverError('ip gave no list of devices', error);
  }
}

async function ipBatch(lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const input = `${lines.join('\n')}\n`;
  const result = await runProgram(['ip', '-batch', '-'], { timeoutMs: TIMEOUT_MS, input });
  requireSuccess(result, lines.join('; '));
}

function requireSuccess(result: ProgramResult, what: string): void {
  if (result.error !== undefined) {
    const missing = result.error.code === 'ENOENT';
    const mend = missing ? 'install iproute2' : result.error.message;
    throw new AnnounceDriverError(`cannot run ip: ${mend}`, result.error);
  }
  if (result.timedOut) throw new AnnounceDriverError(`ip ${what}: no answer`);
  if (result.code !== 0) throw new AnnounceDriverError(`ip ${what}: ${result.stderr.trim()}`);
}
