/** Announces by the marker alone, for a daemon that holdfast cannot ask: FRR, OpenBGPD … */
import type { AnnounceDriver, Verification } from './driver.ts';
import { type Family, MARKER_DEVICES, Marker } from './marker.ts';
import type { AnnounceState } from './state.ts';

export class KernelDriver implements AnnounceDriver {
  readonly name: string = 'kernel';
  protected readonly marker: Marker;

  constructor(families: readonly Family[], deadManMs: number) {
    this.marker = new Marker(families, deadManMs);
  }

  found(): Promise<AnnounceState> {
    return this.marker.found();
  }

  apply(state: AnnounceState): Promise<void> {
    return this.marker.set(state);
  }

  async verify(state: AnnounceState): Promise<Verification> {
    try {
      return judgeDevices(state, await this.marker.devices());
    } catch (error) {
      return { ok: false, problem: (error as Error).message, found: [] };
    }
  }

  async close(): Promise<void> {}
}

/** Whether the marker is where that state has it. */
export function judgeDevices(state: AnnounceState, devices: readonly string[]): Verification {
  const wanted = state === 'down' ? [] : [MARKER_DEVICES[state]];
  const ok = devices.length === wanted.length && devices.every((name) => wanted.includes(name));
  const where = devices.length === 0 ? 'on no device' : `on ${devices.join(' and ')}`;
  const problem = ok ? '' : `the marker address is ${where}: somebody else changes it`;
  return { ok, problem, found: [`marker ${where}`] };
}
