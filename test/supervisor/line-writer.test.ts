import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { LineWriter } from '../../src/supervisor/line-writer.ts';

const directory = mkdtempSync(join(tmpdir(), 'holdfast-lines-'));
after(() => rmSync(directory, { recursive: true }));

const lines = (file: string) => readFileSync(file, 'utf8').split('\n').slice(0, -1);

test('lines arrive whole and in order, also those longer than one write', async () => {
  const file = join(directory, 'order.log');
  const writer = new LineWriter(file);
  const written: string[] = [];
  for (let i = 0; i < 3_000; i++) {
    const line = `${i} ${'x'.repeat(i % 97 === 0 ? 70_000 : i % 50)}`;
    // The queue is bounded: let it empty now and then.
    if (i % 97 === 0) await new Promise((resolve) => setImmediate(resolve));
    writer.write(`${line}\n`);
    written.push(line);
  }
  await writer.close();
  assert.equal(writer.droppedLines, 0);
  assert.deepEqual(lines(file), written);
});

test('a reopened file gets every later line, the moved one every earlier', async () => {
  const file = join(directory, 'rotate.log');
  const writer = new LineWriter(file, { flushMs: 0 });
  writer.write('1\n');
  await new Promise((resolve) => setTimeout(resolve, 20));
  renameSync(file, `${file}.1`);
  writer.reopen();
  writer.write('2\n');
  await writer.close();
  assert.deepEqual([lines(`${file}.1`), lines(file)], [['1'], ['2']]);
});

test('a reader that stops costs lines, not memory or time', async () => {
  const fifo = join(directory, 'slow.fifo');
  await once(spawn('mkfifo', [fifo]), 'exit');
  const readFd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeFd = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK);
  const writer = new LineWriter(writeFd, { flushMs: 0, queueBytesMax: 10_000 });
  for (let i = 0; i < 20_000; i++) {
    writer.write(`${i}\n`);
    if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(writer.droppedLines > 0);
  let text = '';
  const drain = setInterval(() => {
    const buffer = Buffer.alloc(65_536);
    try {
      text += buffer.toString('utf8', 0, readSync(readFd, buffer));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
    }
  }, 5);
  await writer.close();
  clearInterval(drain);
  const rest = Buffer.alloc(65_536);
  text += rest.toString('utf8', 0, readSync(readFd, rest));
  const numbers = text.split('\n').slice(0, -1).map(Number);
  assert.ok(numbers.every((number, i) => i === 0 || number > (numbers[i - 1] ?? 0)));
  assert.equal(numbers.length + writer.droppedLines, 20_000);
  closeSync(readFd);
  closeSync(writeFd);
});

test('a reader that goes away costs lines, not the process', async () => {
  const fifo = join(directory, 'gone.fifo');
  await once(spawn('mkfifo', [fifo]), 'exit');
  const readFd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writeFd = openSync(fifo, constants.O_WRONLY);
  closeSync(readFd);
  const writer = new LineWriter(writeFd, { flushMs: 0 });
  for (let i = 0; i < 10; i++) writer.write(`${i}\n`);
  await writer.close();
  assert.equal(writer.droppedLines, 10);
  closeSync(writeFd);
});

test('lines of several processes on one pipe never mix', async () => {
  const program = `
    import { LineWriter } from ${JSON.stringify(new URL('../../src/supervisor/line-writer.ts', import.meta.url).href)};
    const writer = new LineWriter(1, { flushMs: 1 });
    const mark = process.argv[1];
    for (let i = 0; i < 2000; i++) {
      writer.write(mark.repeat(1 + (i * 37) % 400) + '\\n');
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await writer.close();`;
  const fifo = join(directory, 'shared.fifo');
  await once(spawn('mkfifo', [fifo]), 'exit');
  // Opened for both, so that opening does not wait for the other side.
  const fd = openSync(fifo, constants.O_RDWR);
  const children: ChildProcess[] = ['a', 'b', 'c'].map((mark) =>
    spawn(process.execPath, ['--input-type=module', '-e', program, mark], {
      stdio: ['ignore', fd, 'inherit'],
    }),
  );
  // A reader that comes late finds a full pipe, with all writers in the middle of a write.
  const reader = spawn('sh', ['-c', 'sleep 0.5; exec cat "$0"', fifo], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  reader.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await Promise.all(children.map((child) => once(child, 'exit')));
  closeSync(fd);
  await once(reader, 'close');
  const all = text.split('\n').slice(0, -1);
  assert.equal(all.length, 6_000);
  assert.deepEqual(
    all.filter((line) => !/^(a+|b+|c+)$/.test(line)),
    [],
  );
});
