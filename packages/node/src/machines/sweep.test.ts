import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { sweepMachines } from './sweep.ts';

async function started(child: ChildProcess): Promise<ChildProcess> {
  child.stdin?.write('x');
  if (child.stdout) await once(child.stdout, 'data');
  return child;
}

test('sweep: kills the machines of its home, and nothing else', async () => {
  const prefix = `vmlet-${process.pid.toString(16)}-`;
  const node = (argv0: string, ...args: string[]) =>
    started(
      spawn(process.execPath, ['-e', 'process.stdin.on("data", (data) => process.stdout.write(data))', '--', ...args], {
        argv0,
        stdio: ['pipe', 'pipe', 'ignore'],
        detached: true,
      }),
    );
  const [own, other, talker, namer] = await Promise.all([
    node('qemu-system-x86_64', '-name', `${prefix}abc`),
    node('qemu-system-x86_64', '-name', 'vmlet-ffffffff-abc'),
    node('grep', '-name', `${prefix}abc`),
    node('qemu-system-x86_64', `${prefix}abc`, '-name'),
  ]);
  const ended = once(own, 'exit');
  expect(await sweepMachines(prefix)).toEqual([own.pid]);
  expect(await ended).toEqual([null, 'SIGKILL']);
  expect([other, talker, namer].map(({ exitCode, signalCode }) => [exitCode, signalCode])).toEqual(
    Array(3).fill([null, null]),
  );
  expect(await sweepMachines(prefix)).toEqual([]);
  for (const child of [other, talker, namer]) child.kill('SIGKILL');
});
