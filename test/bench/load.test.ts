import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseWrkCounts, wrkScript } from '../../bench/edge/load/wrk-script.ts';
import {
  CLIENT_FRAME_BYTES,
  clientFrame,
  echoFrames,
  isEcho,
  numberFrame,
  ORIGIN_FRAME_BYTES,
} from '../../bench/edge/origins/echo-frames.ts';
import { parseCpuList, shareCpus } from '../../bench/measure/cpu-list.ts';
import { parseProcessStat, parseResidentBytes, treeOf } from '../../bench/measure/process-stat.ts';

describe('messages of the tunnel load', () => {
  test('a frame is a masked binary message of 64 bytes, its echo the same unmasked', () => {
    const frame = clientFrame(7);
    numberFrame(frame, 0x01020304);
    assert.equal(frame.length, CLIENT_FRAME_BYTES);
    assert.equal(frame.toString('hex', 0, 14), '82c000000000' + '01020304' + '00000007');
    const echoed = echoFrames(frame);
    assert.equal(echoed?.answer.length, ORIGIN_FRAME_BYTES);
    assert.equal(echoed.answer.toString('hex', 0, 10), '8240' + '01020304' + '00000007');
    assert.equal(echoed.rest.length, 0);
    assert.ok(isEcho(echoed.answer, frame));
  });

  test('an echo of another message, of another tunnel or of another length is none', () => {
    const frame = clientFrame(7);
    const answer = echoFrames(frame)!.answer;
    assert.ok(isEcho(answer, frame));
    assert.ok(!isEcho(answer, clientFrame(8)));
    assert.ok(!isEcho(Buffer.concat([answer, answer]), frame));
    assert.ok(!isEcho(answer.subarray(1), frame));
    for (let i = 0; i < answer.length; i += 1) {
      const changed = Buffer.from(answer);
      changed[i] = changed[i]! ^ 0x40;
      assert.ok(!isEcho(changed, frame), `byte ${i}`);
    }
    numberFrame(frame, 1);
    assert.ok(!isEcho(answer, frame));
  });

  test('frames that arrive together are all answered, and part of one is kept', () => {
    const bytes = Buffer.concat([clientFrame(1), clientFrame(2), clientFrame(3)]).subarray(0, -1);
    const echoed = echoFrames(bytes)!;
    assert.equal(echoed.answer.length, 2 * ORIGIN_FRAME_BYTES);
    assert.ok(isEcho(echoed.answer.subarray(ORIGIN_FRAME_BYTES), clientFrame(2)));
    assert.equal(echoed.rest.length, CLIENT_FRAME_BYTES - 1);
  });

  test('bytes that a proxy has changed are noticed', () => {
    const frame = clientFrame(1);
    for (const index of [0, 1, 2, 5]) {
      const changed = Buffer.from(frame);
      changed[index] = changed[index]! ^ 1;
      assert.equal(echoFrames(changed), undefined, `byte ${index}`);
    }
  });
});

describe('counts of wrk', () => {
  test('are read from the line that the script prints', () => {
    const output = 'Running 1s test\nRequests/sec: 9\ncounts 61 359244 1000179 2\n';
    assert.deepEqual(parseWrkCounts(output), {
      requests: 61,
      bytes: 359_244,
      micros: 1_000_179,
      failed: 2,
    });
    assert.equal(parseWrkCounts('unable to connect to 127.0.0.1:1 Connection refused'), undefined);
    assert.equal(parseWrkCounts('counts -1 nan 3 4'), undefined);
  });

  test('a measurement does not look at answers, a limited run does', () => {
    assert.ok(!wrkScript().includes('function response'));
    assert.ok(wrkScript(300).includes('n >= 300'));
  });
});

describe('what the kernel tells', () => {
  test('CPU time is that of a process and its ended children, whatever its name', () => {
    const line =
      '812 (a) b (c) S 40 812 812 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 55 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0';
    assert.deepEqual(parseProcessStat(line), { parentPid: 40, cpuTicks: 127 });
    assert.equal(parseProcessStat(''), undefined);
    assert.equal(parseProcessStat('812 (a) S'), undefined);
  });

  test('memory is what is resident', () => {
    assert.equal(parseResidentBytes('Name:\tx\nVmHWM:\t  99 kB\nVmRSS:\t  12 kB\n'), 12_288);
    assert.equal(parseResidentBytes('Name:\tzombie\n'), 0);
  });

  test('a tree holds all descendants once, also when ids were used again', () => {
    const parents = new Map([
      [2, 1],
      [3, 2],
      [4, 2],
      [5, 4],
      [6, 9],
      [1, 5],
    ]);
    assert.deepEqual(treeOf(1, parents), [1, 2, 3, 4, 5]);
    assert.deepEqual(treeOf(7, parents), [7]);
  });

  test('the contender gets one CPU, load and origin the others', () => {
    assert.deepEqual(parseCpuList('0-2,8\n'), [0, 1, 2, 8]);
    assert.deepEqual(parseCpuList(''), []);
    assert.deepEqual(shareCpus([4, 5, 9]), { measured: '4', load: '5,9' });
    assert.equal(shareCpus([3]), undefined);
  });
});
