/**
 * Long cables: a program that carries frames between pairs of TAP devices, later than they came.
 * Usage: `node relay-process.ts FILE`, FILE holding a {@link RelayPlan} as JSON. Says `ready` once
 * the devices exist. On SIGHUP it reads the file again for the cables' lengths. It ends when it is
 * killed: reads that block would hold up any other way.
 */
import { read, readFileSync, writeSync } from 'node:fs';
import { DelayLine, seededChance } from './delay-line.ts';
import type { RelayPlan } from './plan.ts';
import { openTap } from './tap.ts';

/** Frames under way in one direction: a second of 10,000 frames/s. */
const FRAMES_MAX = 10_000;
/** Larger than any frame: TAP devices have no segmentation offload here. */
const FRAME_BYTES_MAX = 65_535;

/** Where the kernel does not take a frame (its device is down), the frame is lost, as on a cable. */
function send(fd: number, frame: Buffer): void {
  try {
    writeSync(fd, frame);
  } catch {
    // Lost.
  }
}

function carry(from: number, to: number, line: DelayLine): void {
  const buffer = Buffer.allocUnsafe(FRAME_BYTES_MAX);
  let timer: NodeJS.Timeout | undefined;
  const deliver = () => {
    timer = undefined;
    for (;;) {
      const frame = line.take(performance.now());
      if (frame === undefined) break;
      send(to, frame);
    }
    const dueMs = line.nextDueMs;
    if (dueMs !== undefined) {
      timer = setTimeout(deliver, Math.max(1, Math.floor(dueMs - performance.now())));
    }
  };
  const next = () => {
    read(from, buffer, 0, FRAME_BYTES_MAX, null, (error, bytes) => {
      // The device does not exist any more: the lab is being removed.
      if (error !== null) process.exit(0);
      line.push(Buffer.from(buffer.subarray(0, bytes)), performance.now());
      if (timer === undefined) deliver();
      next();
    });
  };
  next();
}

const readPlan = () => JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as RelayPlan;
const plan = readPlan();
const lines = plan.links.map(({ ends, delayMs, lossPercent }, index) => {
  const [a, b] = ends.map((end) => openTap(end.namespace, end.interface)) as [number, number];
  const line = (direction: number) =>
    new DelayLine({
      delayMs,
      lossPercent,
      framesMax: FRAMES_MAX,
      chance: seededChance(plan.seed * 1_000 + index * 2 + direction),
    });
  const [there, back] = [line(0), line(1)];
  carry(a, b, there);
  carry(b, a, back);
  return [there, back];
});
process.on('SIGHUP', () => {
  for (const [index, link] of readPlan().links.entries()) {
    for (const line of lines[index] ?? []) line.change(link);
  }
});
process.stdout.write('ready\n');
