import { chmod, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '@vmlet/host';
import { VmletError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import { type Backend, bootMachine, type LogLine, loadProgram, type Machine } from '../machines/index.ts';
import { captureMachine, expectRestores, openStateReceiver, restoreMachine } from '../machines/snapshot/index.ts';
import type { RunnableProgram } from '../runtimes/index.ts';
import type { Snapshot, SnapshotDraft, SnapshotInputs, Snapshots } from '../snapshots/index.ts';
import { GUEST_HTTP_PORT, keepsConnections } from './environment/index.ts';
import { fitsPlaceholder, type HostOfProgram, loadOf, machineOf, PLACEHOLDER_BYTES, told } from './program-machine.ts';

const MIB = 1024 * 1024;
/**
 * How far the clock of a saved machine is behind for each snapshot that it comes from: OpenSSL draws anew when it sees
 * that over an hour has passed, whichever way. In milliseconds.
 */
const CLOCK_BEHIND_MS = 2 * 60 * 60_000;
/** From `prepare` to the last byte of the state, in milliseconds; the program's own hook is in it. */
const CAPTURE_DEADLINE_MS = 60_000;
/** Free disk that is left beside the memory of a machine, in MiB. */
const SPARE_DISK_MIB = 64;
const PLACEHOLDER_FILE = 'placeholder';

export interface SaveOptions {
  backend: Backend;
  snapshots: Snapshots;
  inputs: SnapshotInputs;
  /** Answers the program's calls while it loads. */
  host?: HostOfProgram | undefined;
  bootDeadlineMs: number;
  loadDeadlineMs: number;
  onLog: (line: LogLine) => void;
  signal: AbortSignal;
}

/** Where a machine's memory is, and who takes its state. */
interface Saving {
  memoryPath: string;
  receiver: string;
}

/**
 * Makes the snapshot of a program's runtime in a machine of its size: its launcher is up, and in the place of the code is
 * a drive of nothing.
 * @throws VmletError `SNAPSHOT_FAILED`, or why the machine did not start; the signal's reason
 */
export function saveRuntime(program: RunnableProgram, options: SaveOptions): Promise<Snapshot> {
  return save(program, options, async (saving) => {
    const codeImage = join(dirname(saving.memoryPath), PLACEHOLDER_FILE);
    await writeFile(codeImage, '');
    await truncate(codeImage, PLACEHOLDER_BYTES);
    await makeMemory(saving, program);
    const machine = await boot({ ...program, codeImage }, saving, options);
    // QEMU has it open, and nothing of it is saved.
    await rm(codeImage);
    return machine;
  });
}

/**
 * Makes the snapshot of a program, from a machine that is made for it, never meets a visitor, and is gone afterwards.
 * @param options.base the snapshot of its runtime, where there is one
 * @throws VmletError `SNAPSHOT_FAILED`, or why the machine did not start; the signal's reason
 */
export function saveProgram(
  program: RunnableProgram,
  { base, ...options }: SaveOptions & { base?: Snapshot | undefined },
): Promise<Snapshot> {
  const { host, loadDeadlineMs: deadlineMs, signal } = options;
  return save(program, options, async (saving) => {
    const fits = await fitsPlaceholder(program.codeImage);
    if (!base || !fits) await makeMemory(saving, program);
    const machine =
      base && fits ? await restoreCopy(program, saving, { ...options, base }) : await boot(program, saving, options);
    await loadProgram(machine, loadOf(told(program, host)), { deadlineMs, onCall: host?.onCall, signal });
    return machine;
  });
}

async function save(
  program: RunnableProgram,
  options: SaveOptions,
  make: (saving: Saving) => Promise<Machine>,
): Promise<Snapshot> {
  const { snapshots, inputs, signal } = options;
  await expectDisk(program, options);
  await using draft = await snapshots.begin(inputs);
  await failpoint('snapshot.begun');
  try {
    const machine = await captured(draft, { make, signal });
    await failpoint('snapshot.captured');
    const snapshot = await draft.commit({ serves: machine.serves ?? null }, signal);
    expectRestores(options.backend, machineOf(program, program));
    return snapshot;
  } catch (error) {
    signal.throwIfAborted();
    // A guest that writes to memory for which the disk has no room dies in the middle of it.
    await expectDisk({ memoryMiB: 0 }, options);
    throw error;
  }
}

async function captured(
  draft: SnapshotDraft,
  { make, signal }: { make: (saving: Saving) => Promise<Machine>; signal: AbortSignal },
): Promise<Machine> {
  const { memoryPath, statePath } = draft;
  // Its socket is not part of the snapshot.
  await using receiver = await openStateReceiver(dirname(memoryPath));
  const machine = await make({ memoryPath, receiver: receiver.path });
  const state = await captureMachine(machine, receiver, {
    ...{ deadlineMs: CAPTURE_DEADLINE_MS, signal },
    parkPort: keepsConnections(machine.serves) ? GUEST_HTTP_PORT : undefined,
  });
  await writeFile(statePath, state);
  return machine;
}

function boot(program: RunnableProgram, saving: Saving, options: SaveOptions): Promise<Machine> {
  const { backend, bootDeadlineMs, onLog, signal } = options;
  return bootMachine(backend, machineOf(program, program), {
    ...{ deadlineMs: bootDeadlineMs, events: { onLog }, save: saving, clockBehindMs: CLOCK_BEHIND_MS, signal },
  });
}

async function restoreCopy(
  program: RunnableProgram,
  saving: Saving,
  { base, ...options }: SaveOptions & { base: Snapshot },
): Promise<Machine> {
  const { backend, bootDeadlineMs, onLog, signal } = options;
  await run('cp', ['--sparse=auto', '--reflink=auto', base.memoryPath, saving.memoryPath], { signal });
  await chmod(saving.memoryPath, MEMORY_MODE);
  return await restoreMachine(backend, machineOf(program, program), {
    ...{ snapshot: base, variables: {}, deadlineMs: bootDeadlineMs, events: { onLog }, save: saving, signal },
    clockBehindMs: 2 * CLOCK_BEHIND_MS,
  });
}

/** Nobody but the node enters the folder; the machine's user, which is not known yet, is shown the file alone. */
const MEMORY_MODE = 0o666;

async function makeMemory({ memoryPath }: Saving, { memoryMiB }: RunnableProgram): Promise<void> {
  await writeFile(memoryPath, '');
  await chmod(memoryPath, MEMORY_MODE);
  await truncate(memoryPath, memoryMiB * MIB);
}

/** Raised when there is no room for a snapshot: it may be tried again when there is. */
export class DiskFull extends VmletError {
  constructor(freeMiB: number) {
    super('SNAPSHOT_FAILED', { operands: { found: `the disk is full, with ${freeMiB} MiB free` } });
  }
}

async function expectDisk(
  { memoryMiB }: Pick<RunnableProgram, 'memoryMiB'>,
  { snapshots }: SaveOptions,
): Promise<void> {
  const { bavail, bsize } = await statfs(snapshots.dir);
  const freeMiB = Math.floor((bavail * bsize) / MIB);
  if (freeMiB < memoryMiB + SPARE_DISK_MIB) throw new DiskFull(freeMiB);
}
