import { closeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { VmletError } from '../../errors.ts';
import type { Cage } from '../cage/index.ts';
import type { EgressOptions } from '../network/egress.ts';
import type { QemuMachine } from '../qemu/command-line.ts';
import { launchWaiting, type QemuProcess } from '../qemu/launch.ts';

/** The first number of the files that come late, as late-files.c gives them: beyond all that QEMU opens itself. */
const FIRST_FD = 200;
/** A path that only the library knows. */
const MEMORY_PATH = '/vmlet/memory';
/** The descriptor from which a machine that waits reads its state, once its files have come. */
export const STATE_FD = FIRST_FD + 1;
const FIRST_DRIVE_FD = FIRST_FD + 2;

/** Files of a machine that is restored. */
export interface LateFiles {
  /** Opened for writing only where the machine shares it. */
  memoryPath: string;
  statePath: string;
  /** In the order of vda, vdb, ... */
  drives: readonly string[];
}

/** All of a restored machine's command line: two of the same shape can take each other's place. */
export interface WaitingShape extends Omit<QemuMachine, 'kernel' | 'initramfs' | 'memory' | 'drives' | 'name'> {
  driveCount: number;
  /** Whether it works on the memory file itself, to be saved in its turn, and not on a copy of its own. */
  share: boolean;
}

/** A QEMU that has been started and waits for its files. Disposing of it before they are given ends it. */
export interface WaitingQemu extends AsyncDisposable {
  readonly process: QemuProcess;
  /**
   * Hands over the files: from now on it is the caller's.
   * @throws Error of the system for a file; VmletError `QEMU_NOT_STARTED` if it died while it waited; it is gone then
   */
  give(files: LateFiles): Promise<QemuProcess>;
}

export interface WaitingRequest {
  cage: Cage;
  /** The boot kit's library by which it waits. */
  library: string;
  name: string;
  /** What a machine with a network card reaches beyond the internet. */
  egress?: EgressOptions | undefined;
  receiver?: string | undefined;
}

/**
 * Starts a QEMU of that shape that waits for its files.
 * @throws VmletError `QEMU_NOT_STARTED`; `SNAPSHOT_FAILED` where no descriptor can be handed on
 */
export async function startWaiting(shape: WaitingShape, request: WaitingRequest): Promise<WaitingQemu> {
  const { cage, library, receiver, egress } = request;
  const { passing } = cage;
  if (!passing) throw new VmletError('SNAPSHOT_FAILED', { operands: { found: 'no cage to restore in' } });
  const { driveCount, share, ...machine } = shape;
  const { near, far } = passing.pair();
  const drives = Array.from({ length: driveCount }, (_, index) => FIRST_DRIVE_FD + index);
  let process: QemuProcess;
  try {
    process = await launchWaiting(
      {
        ...{ ...machine, name: request.name, kernel: null, initramfs: null, drives: [] },
        memory: { path: MEMORY_PATH, share },
      },
      { cage, library, socket: far, receiver, egress, numbers: { memoryPath: MEMORY_PATH, drives } },
    );
  } catch (error) {
    closeSync(near);
    throw error;
  } finally {
    closeSync(far);
  }
  let waits = true;
  const end = async () => {
    if (!waits) return;
    waits = false;
    closeSync(near);
    process.kill();
    await process.exited;
  };
  return {
    process,
    give: async (files) => {
      try {
        await using opened = await openAll(files, share);
        handOver(() => passing.pass(near, opened.descriptors), cage.qemu);
      } catch (error) {
        await end();
        throw error;
      }
      waits = false;
      closeSync(near);
      return process;
    },
    [Symbol.asyncDispose]: end,
  };
}

/** It may have died while it waited, which nobody has noticed yet. */
function handOver(pass: () => void, command: string): void {
  try {
    pass();
  } catch (cause) {
    throw new VmletError('QEMU_NOT_STARTED', { operands: { command, found: 'it ended while it waited' }, cause });
  }
}

async function openAll(files: LateFiles, share: boolean): Promise<AsyncDisposable & { descriptors: number[] }> {
  await using stack = new AsyncDisposableStack();
  const opening = async (path: string, flags: string): Promise<FileHandle> => stack.use(await open(path, flags));
  const memory = await opening(files.memoryPath, share ? 'r+' : 'r');
  const others: FileHandle[] = [];
  for (const path of [files.statePath, ...files.drives]) others.push(await opening(path, 'r'));
  const owned = stack.move();
  return { descriptors: [memory, ...others].map(({ fd }) => fd), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
