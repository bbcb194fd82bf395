import { randomBytes } from 'node:crypto';
import { deadline, orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import { type Backend, type MachineSpec, machineOf, newIdentity } from './boot.ts';
import { migrated, migrationCapabilities } from './capture.ts';
import { STATE_FD, startWaiting } from './late/waiting.ts';
import { Machine, type MachineEvents } from './machine.ts';
import { QmpError } from './qmp/client.ts';
import type { CallHandler } from './wire/calls.ts';

/** Files of a verified snapshot. */
export interface SnapshotFiles {
  memoryPath: string;
  statePath: string;
  serves: string | null;
}

export interface RestoreOptions {
  snapshot: SnapshotFiles;
  /** Of the program in it; nothing where there is none. */
  variables: Record<string, string>;
  /** Answers calls of the program in it. */
  onCall?: CallHandler | undefined;
  /** From the start of its process. */
  deadlineMs: number;
  events: MachineEvents;
  /**
   * For a machine that is to be saved in its turn: its memory is a copy of the snapshot's, of which it becomes the
   * owner, and `receiver` takes its state.
   */
  save?: { memoryPath: string; receiver: string };
  /** How far the guest's clock is behind, in milliseconds. */
  clockBehindMs?: number;
  signal: AbortSignal;
}

/**
 * Starts a machine from a snapshot, and makes it one of its own: it is then `loaded`, or `ready` if no program was in it.
 * On any failure, abort included, nothing of it is left.
 * @throws VmletError `QEMU_NOT_STARTED`, `SNAPSHOT_FAILED`, or why the machine ended; the signal's reason
 */
export async function restoreMachine(backend: Backend, spec: MachineSpec, options: RestoreOptions): Promise<Machine> {
  const { snapshot, signal, save } = options;
  signal.throwIfAborted();
  const id = randomBytes(6).toString('hex');
  using limit = deadline(options.deadlineMs, signal);
  const { drives, name, shape } = described(backend, spec, `${backend.namePrefix}${id}`);
  const waiting =
    (save ? undefined : waitingFor(backend, spec)?.take(shape)) ??
    (await startWaiting(
      { ...shape, share: save !== undefined },
      {
        ...{ cage: backend.cage, library: backend.kit.lateFiles, name, receiver: save?.receiver },
        egress: { ...backend.egress, ...spec.egress },
      },
    ));
  const process = await waiting.give({
    memoryPath: save?.memoryPath ?? snapshot.memoryPath,
    statePath: snapshot.statePath,
    drives,
  });
  const machine = new Machine(id, process, options.events);
  try {
    await failpoint('restore.spawned');
    await orAborted(restore(machine), limit.signal);
    await failpoint('restore.memory');
    machine.restored(snapshot.serves);
    if (options.onCall) machine.takeCalls(options.onCall);
    machine.thaw(newIdentity(spec.hostname, options.clockBehindMs), options.variables);
    await machine.qmp.execute('cont');
    await orAborted(machine.reached(snapshot.serves === null ? 'ready' : 'loaded'), limit.signal);
    await failpoint('restore.resumed');
    return machine;
  } catch (error) {
    machine.kill();
    const reason = await machine.ended;
    if (limit.expired) throw tooLate(limit.ms);
    // QMP's socket closes a moment before the process is reaped; how that ended says more.
    throw error instanceof QmpError && !signal.aborted ? reason : error;
  }
}

/** Says that machines of this kind will be restored: processes for some are started ahead, where that is done at all. */
export function expectRestores(backend: Backend, spec: MachineSpec): void {
  waitingFor(backend, spec)?.want(described(backend, spec, '').shape);
}

/** A network is made for one machine, by what that one may reach: no process can wait with it for any. */
function waitingFor({ waiting }: Backend, { internet }: MachineSpec): Backend['waiting'] {
  return internet ? undefined : waiting;
}

function described(backend: Backend, spec: MachineSpec, machineName: string) {
  const { drives, kernel: _kernel, initramfs: _initramfs, name, ...rest } = machineOf(backend, spec, machineName);
  return { drives, name, shape: { ...rest, driveCount: drives.length, share: false } };
}

function tooLate(ms: number): VmletError {
  return new VmletError('SNAPSHOT_FAILED', { operands: { found: `it was not restored within ${ms} ms` } });
}

async function restore(machine: Machine): Promise<void> {
  await machine.qmp.handshake();
  const done = migrated(machine);
  await Promise.all([
    machine.qmp.execute('migrate-set-capabilities', { capabilities: migrationCapabilities }),
    machine.qmp.execute('migrate-incoming', { uri: `fd:${STATE_FD}` }),
    done,
  ]);
}
