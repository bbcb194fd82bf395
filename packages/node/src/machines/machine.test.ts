import { describe, expect, test } from 'vitest';
import { deadline } from '../deadline.ts';
import { bootMachine } from './boot.ts';
import { haltMachine } from './halt.ts';
import { loadProgram } from './load.ts';
import type { LogLine, Machine } from './machine.ts';
import { backend, HELLO, isAlive, LOADED, READY, type Scenario, spec, standInForQemu } from './testing.ts';

const never = new AbortController().signal;
const LOAD = {
  entrypoint: 'main:app',
  interface: 'asgi' as const,
  code: { device: '/dev/vdc' },
  variables: {},
  port: 8080,
};

/** Boots the stand-in; `pids` are those of all machines that were started. */
async function boot(scenario: Scenario, options: { deadlineMs?: number; signal?: AbortSignal; qmp?: boolean } = {}) {
  await using _qemu = await standInForQemu(scenario, options);
  const logs: LogLine[] = [];
  const machine = await bootMachine(backend, spec, {
    deadlineMs: options.deadlineMs ?? 20_000,
    events: { onLog: (line) => logs.push(line) },
    signal: options.signal ?? never,
  });
  return { machine, logs, [Symbol.asyncDispose]: () => end(machine) };
}

async function end(machine: Machine): Promise<void> {
  machine.kill();
  await machine.ended;
  expect(isAlive(machine.pid)).toBe(false);
}

describe('bootMachine', () => {
  test('boot: configures the guest, without a way out', async () => {
    await using it = await boot(
      `${READY} send({ type: 'log', stream: 'stdout', timeUs: 1, text: JSON.stringify({ configure, args }) }); await hang();`,
    );
    expect(it.machine).toMatchObject({ state: 'ready', ending: false });
    expect(it.machine.marks.map(({ step }) => step)).toEqual(['booted', 'ready']);
    await expect.poll(() => it.logs.length).toBe(1);
    const { configure, args } = JSON.parse(it.logs[0]?.text ?? '');
    expect(configure).toMatchObject({
      hostname: 'host',
      network: null,
      launcher: { argv: ['/bin/launcher'] },
    });
    expect(configure.machineId).toMatch(/^[0-9a-f]{32}$/);
    expect(configure.entropy).toMatch(/^[0-9a-f]{128}$/);
    const offsetMs = Date.now() - (configure.clock.sec * 1000 + configure.clock.nsec / 1e6);
    expect(Math.abs(offsetMs)).toBeLessThan(20_000);
    expect(args.join(' ')).not.toContain('netdev');
    expect(args[args.indexOf('-name') + 1]).toMatch(/^vmlet-test-[0-9a-f]{12}$/);
  });

  test('boot: tells QEMU’s own words, when it ends at once', async () => {
    const scenario = `process.stderr.write('Could not open /runtime\\n'); exit(1);`;
    await expect(boot(scenario, { qmp: false })).rejects.toMatchObject({
      code: 'MACHINE_DIED',
      message: expect.stringContaining('exit code 1'),
      detail: 'qemu: Could not open /runtime',
    });
  });

  test('boot: tells init0’s own words, with the console, when it fails', async () => {
    const scenario = `say('kernel panic\\u001b[2J\\r\\n'); ${HELLO}
      send({ type: 'failed', phase: 'boot', code: 'MOUNT_FAILED', message: 'no \\u001b[31mroot', detail: 'EINVAL' }); await hang();`;
    await expect(boot(scenario)).rejects.toMatchObject({
      code: 'MACHINE_BOOT_FAILED',
      message: expect.stringContaining('Cannot boot the machine: MOUNT_FAILED in phase "boot": no [31mroot'),
      detail: expect.stringMatching(/^no \[31mroot\nEINVAL/),
    });
  });

  test('boot: tells how far it got, at its deadline, and leaves no process', async () => {
    const failure = boot(`say('still here\\n'); process.stderr.write(''); ${HELLO} await hang();`, {
      deadlineMs: 3000,
    });
    await expect(failure).rejects.toMatchObject({
      code: 'MACHINE_BOOT_TIMEOUT',
      message: expect.stringMatching(
        /^Cannot boot the machine: 3000 ms passed with these steps done: booted after \d+ ms, expected "ready"$/,
      ),
      detail: 'console:\nstill here',
    });
  });

  test('boot: ends a machine whose QEMU does not answer, at the deadline', async () => {
    await expect(boot(`${READY} await hang();`, { deadlineMs: 1500, qmp: false })).rejects.toMatchObject({
      code: 'MACHINE_BOOT_TIMEOUT',
    });
  });

  test('boot: gives the reason of its signal, when that aborts', async () => {
    const controller = new AbortController();
    using limit = deadline(300);
    limit.signal.addEventListener('abort', () => controller.abort(new Error('enough')));
    await expect(boot('await hang();', { signal: controller.signal })).rejects.toThrow('enough');
    await expect(boot('await hang();', { signal: controller.signal })).rejects.toThrow('enough');
  });

  test('boot: says that QEMU is missing, when it or setpriv is', async () => {
    const path = process.env.PATH;
    const start = () => bootMachine(backend, spec, { deadlineMs: 10_000, events: { onLog: () => {} }, signal: never });
    try {
      process.env.PATH = '/nowhere';
      await expect(start()).rejects.toMatchObject({
        code: 'QEMU_NOT_STARTED',
        message: expect.stringContaining('ENOENT'),
      });
    } finally {
      process.env.PATH = path;
    }
  });

  test.each([
    ['no frame at all', `raw('\\0\\0\\0\\0');`],
    ['a message that is none', `send({ type: 'nonsense' });`],
    ['a number out of bounds', `send({ type: 'log', stream: 'stdout', timeUs: -1, text: '' });`],
    ['a frame too long', `raw(Buffer.from('ffffffff', 'hex'));`],
    ['hello twice', HELLO],
    ['loaded before load', `send({ type: 'loaded', port: 1, interface: 'asgi', server: 'x' });`],
  ])('boot: ends a guest that sends %s', async (_name, scenario) => {
    const failure = boot(`${HELLO} ${scenario} await hang();`);
    await expect(failure).rejects.toMatchObject({ code: 'GUEST_MISBEHAVED' });
  });

  test('boot: hears what a guest said before it broke the protocol', async () => {
    const scenario = `${HELLO} raw(Buffer.concat([
      encodeFrame({ type: 'failed', phase: 'configure', code: 'NO_LAUNCHER', message: 'gone', detail: '' }), Buffer.from('\\0\\0\\0\\0'),
    ])); await hang();`;
    await expect(boot(scenario)).rejects.toMatchObject({ code: 'MACHINE_BOOT_FAILED' });
  });
});

describe('loadProgram', () => {
  const load = async (
    scenario: Scenario,
    more: { request?: Partial<typeof LOAD> & object; deadlineMs?: number; signal?: AbortSignal } = {},
  ) => {
    await using it = await boot(scenario);
    const request = { ...LOAD, ...more.request };
    const limits = { deadlineMs: more.deadlineMs ?? 20_000, signal: more.signal ?? never };
    try {
      await loadProgram(it.machine, request, limits);
    } catch (error) {
      // A machine whose program does not load is gone.
      expect(isAlive(it.machine.pid)).toBe(false);
      throw error;
    }
    expect(it.machine.state).toBe('loaded');
  };

  test('load: waits until the program listens', async () => {
    await load(`${LOADED} await hang();`);
  });

  test('load: keeps what a program says of its failure for its owner', async () => {
    const failed = `send({ type: 'failed', phase: 'load', code: 'IMPORT_FAILED', message: 's3cret', detail: 'Traceback' });`;
    const failure = load(`${READY} await next('load'); ${failed} await hang();`);
    await expect(failure).rejects.toMatchObject({
      code: 'PROGRAM_LOAD_FAILED',
      message: 'Cannot load the program: IMPORT_FAILED, expected it to listen',
      detail: 's3cret\nTraceback',
    });
  });

  test('load: tells how the program ended, or that it does not listen in time', async () => {
    const exited = `send({ type: 'exited', role: 'launcher', code: 3, signal: null }); exit(0);`;
    await expect(load(`${READY} await next('load'); ${exited}`)).rejects.toMatchObject({
      code: 'PROGRAM_EXITED_LOADING',
      message: 'Cannot load the program: it ended with exit code 3, expected it to listen',
    });
    await expect(load(`${READY} await hang();`, { deadlineMs: 50 })).rejects.toMatchObject({
      code: 'PROGRAM_LOAD_TIMEOUT',
    });
    const aborted = AbortSignal.abort(new Error('enough'));
    await expect(load(`${READY} await hang();`, { signal: aborted })).rejects.toThrow('enough');
  });

  test('load: refuses what fits no frame in words', async () => {
    const variables = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`V${index}`, 'x'.repeat(4096)]));
    await expect(load(`${READY} await hang();`, { request: { variables } })).rejects.toMatchObject({
      code: 'PROGRAM_UNSUPPORTED',
      message: expect.stringContaining('variables that no machine takes'),
    });
  });

  test('load: tells why the machine ended, when it has ended before', async () => {
    const scenario = `process.once('SIGUSR1', () => send({ type: 'exited', role: 'launcher', code: null, signal: 'SIGKILL' }));`;
    await using it = await boot(`${scenario} ${READY} await hang();`);
    process.kill(it.machine.pid, 'SIGUSR1');
    await it.machine.ended;
    await expect(loadProgram(it.machine, LOAD, { deadlineMs: 1000, signal: never })).rejects.toMatchObject({
      code: 'MACHINE_BOOT_FAILED',
      message: expect.stringContaining('LAUNCHER_EXITED in phase "ready": the launcher ended with signal SIGKILL'),
    });
  });
});

test('machine: says why its guest begins no session', async () => {
  // REFUSED on stream 1, then on 3.
  const refuses = `wire.once('data', () => { wire.write(Buffer.from([3, 2, 0, 0, 0, 0, 0, 1]));
    wire.once('data', () => wire.write(Buffer.from([3, 22, 0, 0, 0, 0, 0, 3]))); });`;
  await using it = await boot(`${refuses} ${LOADED} await hang();`);
  const payload = Buffer.alloc(1);
  await expect(it.machine.openSession({ kind: 2, payload })).rejects.toMatchObject({
    code: 'SESSION_REFUSED',
    message: expect.stringContaining('the runtime has neither /bin/bash nor /bin/sh'),
  });
  await expect(it.machine.openSession({ kind: 3, payload })).rejects.toMatchObject({
    message: expect.stringContaining('the guest says EINVAL'),
  });
});

test('machine: is not prepared for a snapshot, once anybody has had a stream into it', async () => {
  const refuses = `wire.on('data', () => {});`;
  await using asked = await boot(`${refuses} ${LOADED} await hang();`);
  // Nothing answers it.
  const stream = asked.machine.connect(8080).catch(() => {});
  expect(() => asked.machine.prepare()).toThrow('its program has been asked for something');
  await using touched = await boot(`${refuses} ${LOADED} await hang();`);
  // Nothing answers it.
  const session = touched.machine.openSession({ kind: 2, payload: Buffer.alloc(1) }).catch(() => {});
  expect(() => touched.machine.prepare()).toThrow('its owner has had a session in it');
  await end(asked.machine);
  await end(touched.machine);
  await Promise.all([stream, session]);
});

describe('ending', () => {
  const loaded = async (scenario: Scenario) => {
    const it = await boot(`${LOADED} ${scenario}`);
    await loadProgram(it.machine, LOAD, { deadlineMs: 20_000, signal: never });
    return it;
  };

  test('halt: lets the guest power off, with its grace', async () => {
    await using it = await loaded(`const { graceMs } = await next('halt');
      send({ type: 'log', stream: 'stderr', timeUs: 1, text: 'grace ' + graceMs });
      send({ type: 'exited', role: 'launcher', code: 0, signal: null }); send({ type: 'halted' }); control.end(() => exit(0));`);
    await haltMachine(it.machine, 1234);
    await haltMachine(it.machine, 1234);
    expect(await it.machine.ended).toMatchObject({ code: 'MACHINE_HALTED' });
    expect(it.logs.map(({ text }) => text)).toEqual(['grace 1234']);
    expect(it.machine).toMatchObject({ state: 'ended', ending: true });
    await expect(it.machine.reached('loaded')).rejects.toMatchObject({ code: 'MACHINE_HALTED' });
  });

  test('halt: kills a guest that does not power off', async () => {
    await using it = await loaded('await hang();');
    await haltMachine(it.machine, -4900);
    expect(await it.machine.ended).toMatchObject({ code: 'MACHINE_HALTED' });
    expect(isAlive(it.machine.pid)).toBe(false);
  });

  test('machine: tells the first reason, when the guest says one and its process ends after', async () => {
    await using it = await loaded(`send({ type: 'exited', role: 'launcher', code: 9, signal: null });
      send({ type: 'failed', phase: 'serve', code: 'LATER', message: '', detail: '' }); control.end(() => exit(4));`);
    expect(await it.machine.ended).toMatchObject({
      code: 'PROGRAM_EXITED',
      message: expect.stringContaining('exit code 9'),
    });
  });

  test('machine: tells how its process ended, when nobody says why', async () => {
    await using it = await loaded(`process.kill(process.pid, 'SIGKILL');`);
    expect(await it.machine.ended).toMatchObject({
      code: 'MACHINE_DIED',
      message: expect.stringContaining('ended by SIGKILL'),
    });
  });

  test('machine: survives writes to a guest that is gone', async () => {
    await using it = await loaded('control.destroy(); await hang();');
    for (let round = 0; round < 5; round++)
      it.machine.configure({
        hostname: 'x',
        machineId: '',
        clock: { sec: 0, nsec: 0 },
        entropy: '',
        network: null,
        launcher: spec.launcher,
      });
    it.machine.halt(1);
    it.machine.kill();
    it.machine.halt(1);
    await it.machine.ended;
    it.machine.kill();
  });

  test('machine: hears no frame after its end, and takes a flood of output', async () => {
    await using it =
      await loaded(`for (let line = 0; line < 3000; line++) send({ type: 'log', stream: 'stdout', timeUs: line, text: 'x'.repeat(1000) });
      send({ type: 'exited', role: 'launcher', code: 0, signal: null });
      for (;;) { if (!control.write(encodeFrame({ type: 'log', stream: 'stdout', timeUs: 1, text: 'late' }))) await new Promise((resolve) => control.once('drain', resolve)); }`);
    await it.machine.ended;
    const heard = it.logs.length;
    expect(heard).toBeGreaterThanOrEqual(3000);
    expect(it.logs.slice(0, 3000).map(({ timeUs }) => timeUs)).toEqual(Array.from({ length: 3000 }, (_, line) => line));
  });
});
