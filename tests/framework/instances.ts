/** Instances by hand: a machine of one's own disk, and who logs in on its serial console. */
import { chmod, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBootKit } from '@vmlet/guest';
import { resolvePaths } from '@vmlet/host';
import { openCage } from '../../packages/node/src/machines/cage/index.ts';
import { type Backend, type Machine, probeAccelerator } from '../../packages/node/src/machines/index.ts';
import { bootInstance, haltInstance, makeDisk } from '../../packages/node/src/machines/instance/index.ts';

/** Of a boot under emulation on a machine that is busy with other tests. */
const DEADLINE_MS = 300_000;
const HALT_MS = 60_000;

export interface InstanceShape {
  memoryMiB?: number;
  /** Size of its disk. */
  diskMiB: number;
  internet?: boolean;
}

/** An instance whose console asks for a login. Disposing of it shuts it down. */
export interface TestInstance extends AsyncDisposable {
  machine: Machine;
  /** From the start of its process to the prompt. */
  bootMs: number;
  login(user: string, password: string): Promise<void>;
  /** Runs a command line in the shell of who has logged in. @returns what it printed; throws if it failed */
  run(command: string): Promise<string>;
  /** Types, and waits for the words. */
  say(text: string, answer: RegExp): Promise<string>;
  /** Presses its power button. @returns why it ended */
  powerOff(): Promise<string>;
}

export interface InstanceLab extends AsyncDisposable {
  backend: Backend;
  /** A folder for disks. */
  folder: string;
  /** Boots a disk that is there. */
  boot(disk: string, shape?: Omit<InstanceShape, 'diskMiB'>): Promise<TestInstance>;
  /** Boots a copy of an image. */
  bootImage(image: string, shape: InstanceShape): Promise<TestInstance>;
}

/** All of it is gone with the disposal. */
export async function openInstanceLab({ signal }: { signal: AbortSignal }): Promise<InstanceLab> {
  await using stack = new AsyncDisposableStack();
  const { cache } = resolvePaths();
  const kit = await ensureBootKit({ cache, signal });
  const name = `vmlet-instances-${process.pid}`;
  const cage = stack.use(await openCage({ name, homeId: `instances-${process.pid}`, cache, signal }));
  const { accelerator, tscKhz } = await probeAccelerator(kit, { cache, namePrefix: `${name}-`, cage, signal });
  const backend: Backend = { kit, accelerator, tscKhz, cage, namePrefix: `${name}-` };
  const folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'vmlet-instances-'))).path;
  await chmod(folder, 0o711);
  const owned = stack.move();
  let count = 0;
  const boot: InstanceLab['boot'] = async (disk, { memoryMiB = 256, internet = false } = {}) => {
    const spec = { disk, vcpus: 1, memoryMiB, internet };
    const startedAt = performance.now();
    const machine = await bootInstance(backend, spec, { deadlineMs: DEADLINE_MS, signal });
    return instanceOf(machine, { bootMs: performance.now() - startedAt, signal });
  };
  return {
    ...{ backend, folder, boot },
    bootImage: async (image, shape) => {
      count += 1;
      const disk = join(folder, `${count}.disk`);
      await makeDisk(image, disk, { sizeMiB: shape.diskMiB, signal });
      return boot(disk, shape);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function instanceOf(machine: Machine, { bootMs, signal }: { bootMs: number; signal: AbortSignal }): TestInstance {
  const say: TestInstance['say'] = async (text, answer) => {
    machine.console.write(text);
    return await Promise.race([
      machine.console.until(answer, signal),
      machine.ended.then((reason) => Promise.reject(reason)),
    ]);
  };
  return {
    ...{ machine, bootMs, say },
    login: async (user, password) => {
      await say(`${user}\n`, /assword: ?/);
      await say(`${password}\n`, /[#$] /);
    },
    run: async (command) => {
      // What is typed comes back, too: the marks are what only its output has.
      const text = await say(
        `echo begin-$((1))-mark; ${command}; echo end-$?-mark\n`,
        /begin-1-mark[\s\S]*end-\d+-mark/,
      );
      const [, printed = '', code = ''] = /begin-1-mark\r?\n([\s\S]*)end-(\d+)-mark/.exec(text) ?? [];
      if (code !== '0') throw new Error(`Cannot run "${command}": exit code ${code}, expected 0\n${printed}`);
      return printed.replaceAll('\r', '').trim();
    },
    powerOff: async () => {
      await haltInstance(machine, HALT_MS);
      return (await machine.ended).code;
    },
    [Symbol.asyncDispose]: async () => {
      machine.kill();
      await machine.ended;
    },
  };
}
