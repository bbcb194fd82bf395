import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { usageOf } from './usage.ts';

/** Takes 64 MiB and a quarter of a second of processor time, says so, and waits. */
const BUSY = `
globalThis.held = Buffer.alloc(64 * 1024 * 1024, 1);
while (process.cpuUsage().user < 250_000);
console.log(globalThis.held.length);
process.stdin.resume();`;

test('usage: counts processor time and memory of a process and of all below it', async () => {
  // As a cage does, one process stands before the one that works; a name with blanks and brackets is a name.
  const script = '(exec -a "sh) (1 2" "$0" -e "$1") <&0 & wait';
  await using stack = new AsyncDisposableStack();
  const child = spawn('bash', ['-c', script, process.execPath, BUSY], { stdio: ['pipe', 'pipe', 'inherit'] });
  stack.defer(async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, 'exit');
  });
  await once(createInterface({ input: child.stdout }), 'line');
  const used = await usageOf(child.pid ?? 0);
  expect(used.cpuMs).toBeGreaterThanOrEqual(200);
  expect(used.memoryMiB).toBeGreaterThan(64);
});

test('usage: is nothing, when the process is gone', async () => {
  const child = spawn('true');
  await once(child, 'exit');
  expect(await usageOf(child.pid ?? 0)).toEqual({ cpuMs: 0, memoryMiB: 0 });
});
