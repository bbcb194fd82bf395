/** Snapshots by hand: a machine that is booted, saved, and restored as often as a test wants. */
import { chmod, copyFile, mkdir, mkdtempDisposable, open, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { ensureBootKit } from '@vmlet/guest';
import { resolvePaths, run } from '@vmlet/host';
import { Client } from 'undici';
import { openCage } from '../../packages/node/src/machines/cage/index.ts';
import {
  type Backend,
  bootMachine,
  loadProgram,
  type Machine,
  probeAccelerator,
} from '../../packages/node/src/machines/index.ts';
import {
  captureMachine,
  type MachineSpec,
  openStateReceiver,
  restoreMachine,
} from '../../packages/node/src/machines/snapshot/index.ts';
import { type Launch, launcherArgv } from '../../packages/node/src/runtimes/index.ts';
import { GUEST_HTTP_PORT, launcherEnvironment } from '../../packages/node/src/starts/environment/index.ts';
import { officialRuntime } from './runtime.ts';

const MEMORY_MIB = 256;
const DEADLINE_MS = 120_000;
/** Where a program brings versions of Node.js that its runtime has not: in its code. */
const NVM_DIR = '/opt/code/nodes';

export interface ProgramFiles {
  /** By path, below the code folder: text. */
  files: Readonly<Record<string, string>>;
  /** Programs of this host that go into `nodes/` of it, by path: versions of Node.js, as nvm keeps them. */
  nodes?: Readonly<Record<string, string>>;
  entrypoint: string;
  launcher: Launch['kind'];
  /** Variables of the message. */
  variables?: Record<string, string>;
}

/** A clone that answers, or waits for its program. Ends with the disposal. */
export interface Clone extends AsyncDisposable {
  machine: Machine;
  /** The body of a GET. */
  get(path: string): Promise<string>;
  /** Loads the program that the snapshot's drive has, where it was made without one. */
  load(): Promise<void>;
}

export interface Snapshot {
  /** Whatever the program and its launcher have said so far, in all machines. */
  readonly log: string;
  clone(variables?: Record<string, string>): Promise<Clone>;
}

export interface SnapshotOptions {
  /** `runtime` saves the launcher without the program. */
  level: 'program' | 'runtime';
  /** How far the clock is behind while it is made; not at all unless told. */
  clockBehindMs?: number;
}

/** What snapshots are made with. */
export interface Lab extends AsyncDisposable {
  snapshot(program: ProgramFiles, options: SnapshotOptions): Promise<Snapshot>;
}

/** Opens a lab for one official runtime. All of it is gone with the disposal. */
export async function openLab(runtimeName: string, { signal }: { signal: AbortSignal }): Promise<Lab> {
  await using stack = new AsyncDisposableStack();
  const { cache } = resolvePaths();
  const kit = await ensureBootKit({ cache, signal });
  const runtime = await officialRuntime(runtimeName);
  const name = `vmlet-clones-${process.pid}`;
  const cage = stack.use(await openCage({ name, homeId: `clones-${process.pid}`, cache, signal }));
  const probe = await probeAccelerator(kit, { cache, namePrefix: `${name}-`, cage, signal });
  const { accelerator, tscKhz } = probe;
  const backend: Backend = { kit, accelerator, tscKhz, cage, namePrefix: `${name}-` };
  const folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'vmlet-clones-')));
  await chmod(folder.path, 0o711);
  const owned = stack.move();
  let count = 0;
  return {
    async snapshot(program, options) {
      count += 1;
      const place = join(folder.path, String(count));
      await mkdir(place, { mode: 0o711 });
      const spec: MachineSpec = {
        ...{ runtimeImage: runtime.imagePath, codeImage: await makeCode(program, place) },
        ...{ vcpus: 1, memoryMiB: MEMORY_MIB, internet: false, hostname: 'original' },
        launcher: {
          argv: launcherArgv(program.launcher, runtime.manifest),
          env: program.nodes === undefined ? launcherEnvironment : { ...launcherEnvironment, NVM_DIR },
        },
      };
      return await save({ backend, spec, place, program, options, signal });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function makeCode({ files, nodes = {} }: ProgramFiles, place: string): Promise<string> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(place, 'code', path)), { recursive: true });
    await writeFile(join(place, 'code', path), text, { mode: 0o755 });
  }
  for (const [path, from] of Object.entries(nodes)) {
    await mkdir(dirname(join(place, 'code/nodes', path)), { recursive: true });
    await copyFile(from, join(place, 'code/nodes', path));
  }
  const image = join(place, 'code.img');
  await run('mksquashfs', [join(place, 'code'), image, '-quiet', '-no-progress', '-noD', '-noF']);
  return image;
}

interface Save {
  backend: Backend;
  spec: MachineSpec;
  place: string;
  program: ProgramFiles;
  options: SnapshotOptions;
  signal: AbortSignal;
}

async function save({ backend, spec, place, program, options, signal }: Save): Promise<Snapshot> {
  let log = '';
  const events = {
    onLog: (line: { text: string }) => {
      log += line.text;
    },
  };
  const limits = { deadlineMs: DEADLINE_MS, signal };
  const [memoryPath, statePath] = [join(place, 'memory'), join(place, 'state')];
  await using memory = await open(memoryPath, 'w');
  await memory.truncate(MEMORY_MIB * 2 ** 20);
  await chmod(memoryPath, 0o666);
  await using receiver = await openStateReceiver(place);
  const load = (machine: Machine) => loadProgram(machine, loadOf(program), limits);
  const machine = await bootMachine(backend, spec, {
    ...{ ...limits, events, clockBehindMs: options.clockBehindMs ?? 0 },
    save: { memoryPath, receiver: receiver.path },
  });
  if (options.level === 'program') await load(machine);
  await writeFile(statePath, await captureMachine(machine, receiver, limits));
  await chmod(memoryPath, 0o444);
  const serves = options.level === 'program' ? (machine.serves ?? null) : null;
  let count = 0;
  return {
    get log() {
      return log;
    },
    async clone(variables = {}) {
      count += 1;
      const restored = await restoreMachine(
        backend,
        { ...spec, hostname: `clone-${count}` },
        { ...{ ...limits, events, variables }, snapshot: { memoryPath, statePath, serves } },
      );
      return cloneOf(restored, () => load(restored));
    },
  };
}

function loadOf({ entrypoint, variables = {} }: ProgramFiles) {
  return { ...{ code: { device: '/dev/vdc' }, entrypoint, interface: null }, variables, port: GUEST_HTTP_PORT };
}

function cloneOf(machine: Machine, load: () => Promise<void>): Clone {
  const client = new Client(`http://127.0.0.1:${GUEST_HTTP_PORT}`, {
    connect: (_origin, done) => {
      machine.connect(GUEST_HTTP_PORT).then(
        // undici takes any duplex stream; its types know sockets only.
        (stream) => done(null, stream as Duplex as Socket),
        (error: Error) => done(error, null),
      );
    },
  });
  return {
    machine,
    load,
    async get(path) {
      const { body } = await client.request({ path, method: 'GET' });
      return await body.text();
    },
    async [Symbol.asyncDispose]() {
      await client.destroy();
      machine.kill();
      await machine.ended;
    },
  };
}
