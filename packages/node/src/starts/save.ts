import { chmod, statfs, truncate, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { VmletError } from '../errors.ts';
import { type Backend, bootMachine, type LogLine, loadProgram, type Machine } from '../machines/index.ts';
import { captureMachine, openStateReceiver } from '../machines/snapshot/index.ts';
import type { RunnableProgram } from '../runtimes/index.ts';
import type { Snapshot, SnapshotDraft, SnapshotInputs, Snapshots } from '../snapshots/index.ts';
import { loadOf, machineOf } from './program-machine.ts';

const MIB = 1024 * 1024;
/** How far a saved machine's clock is behind: OpenSSL draws anew when it sees that over an hour has passed. In milliseconds. */
const CLOCK_BEHIND_MS = 2 * 60 * 60_000;
/** From `prepare` to the last byte of the state, in milliseconds; the program's own hook is in it. */
const CAPTURE_DEADLINE_MS = 60_000;
/** Free disk that is left beside the memory of a machine, in MiB. */
const SPARE_DISK_MIB = 64;

export interface SaveOptions {
  backend: Backend;
  snapshots: Snapshots;
  inputs: SnapshotInputs;
  bootDeadlineMs: number;
  loadDeadlineMs: number;
  onLog: (line: LogLine) => void;
  signal: AbortSignal;
}

/**
 * Makes the snapshot of a program, from a machine that is made for it, never meets a visitor, and is gone afterwards.
 * @throws VmletError `SNAPSHOT_FAILED`, or why the machine did not start; the signal's reason
 */
export async function saveProgram(program: RunnableProgram, options: SaveOptions): Promise<Snapshot> {
  const { backend, snapshots, inputs, signal } = options;
  await expectDisk(program, options);
  await using draft = await snapshots.begin(inputs);
  const machine = await withReceiver(draft, async (receiver) => {
    await makeMemory(draft, program);
    const booted = await bootMachine(backend, machineOf(program, program), {
      deadlineMs: options.bootDeadlineMs,
      events: { onLog: options.onLog },
      save: { memoryPath: draft.memoryPath, receiver: receiver.path },
      clockBehindMs: CLOCK_BEHIND_MS,
      signal,
    });
    await loadProgram(booted, loadOf(program), { deadlineMs: options.loadDeadlineMs, signal });
    const state = await captureMachine(booted, receiver, { deadlineMs: CAPTURE_DEADLINE_MS, signal });
    await writeFile(draft.statePath, state);
    return booted;
  });
  return await draft.commit({ serves: machine.serves ?? null }, signal);
}

async function withReceiver(
  draft: SnapshotDraft,
  use: (receiver: Awaited<ReturnType<typeof openStateReceiver>>) => Promise<Machine>,
): Promise<Machine> {
  await using receiver = await openStateReceiver(dirname(draft.memoryPath));
  return await use(receiver);
}

/** Nobody but the node enters the folder; the machine's user, which is not known yet, is shown the file alone. */
async function makeMemory({ memoryPath }: SnapshotDraft, { memoryMiB }: RunnableProgram): Promise<void> {
  await writeFile(memoryPath, '');
  await chmod(memoryPath, 0o666);
  await truncate(memoryPath, memoryMiB * MIB);
}

/** A guest that writes to memory for which the disk has no room is killed in the middle of it. */
async function expectDisk({ memoryMiB }: RunnableProgram, { snapshots }: SaveOptions): Promise<void> {
  const { bavail, bsize } = await statfs(snapshots.dir);
  const freeMiB = Math.floor((bavail * bsize) / MIB);
  if (freeMiB >= memoryMiB + SPARE_DISK_MIB) return;
  throw new VmletError('SNAPSHOT_FAILED', { operands: { found: `${freeMiB} MiB are free on the disk` } });
}
