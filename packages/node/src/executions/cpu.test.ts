import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { CpuMeter, cpuSecondsOf } from './cpu.ts';

/** Burns processor time in a child of its own child, then says so. */
const BUSY = 'for ((i = 0; i < 600000; i++)); do :; done; echo done; read line';

test('cpu: counts a process and those below it, and nothing once it is gone', async () => {
  const parent = spawn('bash', ['-c', `bash -c '${BUSY}'; exit`], { stdio: ['pipe', 'pipe', 'inherit'] });
  const { pid = 0, stdin, stdout } = parent;
  await once(stdout, 'data');
  const charged: number[] = [];
  const meter = new CpuMeter((seconds) => charged.push(seconds), 4);
  meter.begin();
  meter.start(pid);
  expect(cpuSecondsOf(pid)).toBeGreaterThan(0.1);
  expect(charged).toEqual([expect.any(Number)]);
  expect(charged[0]).toBeGreaterThan(0.1);
  meter.sample();
  expect(charged).toHaveLength(1);
  stdin.end('\n');
  await once(parent, 'exit');
  expect(cpuSecondsOf(pid)).toBeUndefined();
  meter.lost();
  // As if all of its four processors had worked since the last look.
  expect(charged).toHaveLength(2);
  meter.lost();
  expect(charged).toHaveLength(2);
});

test('cpu: charges nothing more for a machine that was looked at before it was halted', () => {
  const charged: number[] = [];
  const meter = new CpuMeter((seconds) => charged.push(seconds), 1);
  meter.lost();
  expect(charged).toEqual([]);
  meter.begin();
  meter.start(process.pid);
  meter.finish();
  const looks = charged.length;
  meter.lost();
  expect(charged).toHaveLength(looks);
});
