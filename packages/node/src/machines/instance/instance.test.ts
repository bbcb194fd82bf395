import { expect, test } from 'vitest';
import type { Machine } from '../machine.ts';
import { backend, HELLO, isAlive, type Scenario, standInForQemu } from '../testing.ts';
import { bootInstance, haltInstance, type InstanceSpec } from './instance.ts';

const spec: InstanceSpec = { disk: '/own.disk', vcpus: 2, memoryMiB: 512, internet: false };
const LOGIN = `${HELLO} say('booting\\r\\nhost lo'); setImmediate(() => say('gin: '));`;
/** Ends as a guest does that listens to its power button. */
const BUTTON = `createInterface({ input: qmp }).on('line', (line) => { if (line.includes('system_powerdown')) exit(0); });`;

async function boot(scenario: Scenario, deadlineMs = 20_000) {
  await using _qemu = await standInForQemu(scenario);
  const { signal } = new AbortController();
  const machine = await bootInstance(backend, spec, { deadlineMs, signal });
  return { machine, [Symbol.asyncDispose]: () => end(machine) };
}

async function end(machine: Machine): Promise<void> {
  machine.kill();
  await machine.ended;
  expect(isAlive(machine.pid)).toBe(false);
}

test('bootInstance: is there when the console asks who logs in, on a disk that is its own', async () => {
  const tell = `serial.on('data', () => say(JSON.stringify(args) + '\\n'));`;
  await using it = await boot(`${tell} ${LOGIN} await hang();`);
  expect(it.machine).toMatchObject({ state: 'booted', ending: false });
  const { signal } = new AbortController();
  it.machine.console.write('?');
  const args: string[] = JSON.parse((await it.machine.console.until(/\n/, signal)).trim());
  const drives = args.flatMap((word, index) => (args[index - 1] === '-blockdev' ? [JSON.parse(word)] : []));
  expect(drives.map(({ file }) => file.filename)).toEqual([spec.disk, backend.kit.image]);
  expect(drives.map((drive) => drive['read-only'])).toEqual([false, true]);
  expect(args.join(' ')).toContain('vmlet_init=distribution');
});

test('bootInstance: tells how far it got and what the console says, at its deadline', async () => {
  await expect(boot(`${HELLO} say('Welcome to emergency mode!\\n'); await hang();`, 3000)).rejects.toMatchObject({
    code: 'MACHINE_BOOT_TIMEOUT',
    message: expect.stringMatching(/booted after \d+ ms/),
    detail: 'console:\nWelcome to emergency mode!',
  });
});

test('bootInstance: tells how a machine ended that never asked', async () => {
  await expect(boot(`${HELLO} say('reboot: Power down\\n', exit(0));`)).rejects.toMatchObject({ code: 'MACHINE_DIED' });
});

test('haltInstance: presses the power button', async () => {
  await using it = await boot(`${BUTTON} ${LOGIN} await hang();`);
  await haltInstance(it.machine, 20_000);
  expect(await it.machine.ended).toMatchObject({ code: 'MACHINE_HALTED' });
  await haltInstance(it.machine, 20_000);
});

test('haltInstance: kills a machine that does not listen to it in time', async () => {
  await using it = await boot(`${LOGIN} await hang();`);
  await haltInstance(it.machine, 50);
  expect(await it.machine.ended).toMatchObject({ code: 'MACHINE_HALTED' });
});
