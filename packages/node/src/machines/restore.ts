import { randomBytes } from 'node:crypto';
import { deadline, orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import { type Backend, type MachineSpec, machineOf, newIdentity } from './boot.ts';
import { migrated, migrationCapabilities } from './capture.ts';
import { Machine, type MachineEvents } from './machine.ts';
import { launchQemu } from './qemu/launch.ts';

/** Files of a verified snapshot. */
export interface SnapshotFiles {
  memoryPath: string;
  statePath: string;
  serves: string | null;
}

/**
 * Starts a machine from a snapshot, and makes it one of its own: it is then `loaded`, or `ready` if no program was in it.
 * On any failure, abort included, nothing of it is left.
 * @throws VmletError `QEMU_NOT_STARTED`, `SNAPSHOT_FAILED`, or why the machine ended; the signal's reason
 */
export async function restoreMachine(
  backend: Backend,
  spec: MachineSpec,
  options: {
    snapshot: SnapshotFiles;
    variables: Record<string, string>;
    deadlineMs: number;
    events: MachineEvents;
    signal: AbortSignal;
  },
): Promise<Machine> {
  const { snapshot, signal } = options;
  signal.throwIfAborted();
  const id = randomBytes(6).toString('hex');
  using limit = deadline(options.deadlineMs, signal);
  const described = {
    ...machineOf(backend, spec, `${backend.namePrefix}${id}`),
    ...{ kernel: null, initramfs: null, memory: { path: snapshot.memoryPath, share: false } },
  };
  const { readOnlyMemory } = backend.kit;
  const process = await launchQemu(described, {
    ...{ cage: backend.cage, state: snapshot.statePath, preload: readOnlyMemory },
  });
  const machine = new Machine(id, process, options.events);
  try {
    await orAborted(restore(machine, process.stateFd), limit.signal);
    machine.restored(snapshot.serves);
    machine.thaw(newIdentity(spec.hostname), options.variables);
    await machine.qmp.execute('cont');
    await orAborted(machine.reached(snapshot.serves === null ? 'ready' : 'loaded'), limit.signal);
    return machine;
  } catch (error) {
    machine.kill();
    await machine.ended;
    throw error;
  }
}

async function restore(machine: Machine, stateFd: number | undefined): Promise<void> {
  await machine.qmp.handshake();
  await machine.qmp.execute('migrate-set-capabilities', { capabilities: migrationCapabilities });
  if (stateFd === undefined) throw new VmletError('SNAPSHOT_FAILED', { operands: { found: 'no cage to restore in' } });
  const done = migrated(machine);
  await machine.qmp.execute('migrate-incoming', { uri: `fd:${stateFd}` });
  await done;
}
