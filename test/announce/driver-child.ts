/**
 * A driver in a process of its own, so that it can live in a namespace and be killed. Reads lines
 * of JSON `[method, …arguments]`, answers each with `{value}` or `{error}`.
 */
import { createInterface } from 'node:readline';
import { BirdDriver } from '../../src/announce/bird-driver.ts';
import type { AnnounceDriver } from '../../src/announce/driver.ts';
import { ExabgpDriver } from '../../src/announce/exabgp-driver.ts';
import { ExecDriver } from '../../src/announce/exec-driver.ts';
import { KernelDriver } from '../../src/announce/kernel-driver.ts';
import { removeMarker } from '../../src/announce/marker.ts';

type Words = [method: string, ...args: never[]];

const kinds: Record<string, (...args: never[]) => AnnounceDriver> = {
  bird: (socket: string, vips: string[], deadManMs: number) =>
    new BirdDriver(socket, vips, deadManMs),
  exabgp: (options: ConstructorParameters<typeof ExabgpDriver>[0]) => new ExabgpDriver(options),
  exec: (options: ConstructorParameters<typeof ExecDriver>[0]) => new ExecDriver(options),
  kernel: (families: (4 | 6)[], deadManMs: number) => new KernelDriver(families, deadManMs),
};
const [kind = '', ...args] = JSON.parse(process.argv[2] ?? '[]') as string[];
const driver = kinds[kind]!(...(args as never[]));

for await (const line of createInterface({ input: process.stdin })) {
  const [method, ...words] = JSON.parse(line) as Words;
  let answer: object;
  try {
    const call =
      method === 'removeMarker'
        ? removeMarker()
        : (driver[method as 'apply'] as (...words: never[]) => Promise<unknown>)(...words);
    answer = { value: await call };
  } catch (error) {
    answer = { error: (error as Error).message };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
