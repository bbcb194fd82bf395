import { type Deadline, deadline, orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import type { Machine } from './machine.ts';
import type { StateReceiver } from './state-receiver.ts';

/**
 * Saves a machine that was booted with `save` and has never served anybody. Its memory is in that file when this
 * returns, and the machine is gone: there is nothing that it could still be used for.
 * @returns the state of its devices
 * @throws VmletError `SNAPSHOT_FAILED`, or why the machine ended; the signal's reason
 */
export async function captureMachine(
  machine: Machine,
  receiver: StateReceiver,
  options: { deadlineMs: number; signal: AbortSignal },
): Promise<Buffer> {
  using limit = deadline(options.deadlineMs, options.signal);
  try {
    machine.prepare();
    await orAborted(machine.reached('prepared'), limit.signal);
    machine.freeze();
    await orAborted(machine.reached('frozen'), limit.signal);
    return await save(machine, receiver, limit);
  } finally {
    machine.kill();
    await machine.ended;
  }
}

async function save(machine: Machine, receiver: StateReceiver, limit: Deadline): Promise<Buffer> {
  await machine.qmp.execute('stop');
  await machine.qmp.execute('migrate-set-capabilities', { capabilities: migrationCapabilities });
  const done = migrated(machine);
  const bytes = receiver.receive();
  await machine.qmp.execute('migrate', { uri: `unix:${machine.statePath}` });
  await orAborted(done, limit.signal);
  return await orAborted(bytes, limit.signal);
}

/** The memory stands in its file and is not sent; QEMU says by an event how far it is. */
export const migrationCapabilities = [
  { capability: 'x-ignore-shared', state: true },
  { capability: 'events', state: true },
];

/** Resolves when a save or a restore that is begun now is complete. */
export function migrated(machine: Machine): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  machine.onMigration = (status) => {
    if (status === 'completed') resolve();
    if (status === 'failed') reject(new VmletError('SNAPSHOT_FAILED', { operands: { found: 'QEMU gave it up' } }));
  };
  void machine.ended.then(reject);
  promise.catch(() => {
    // Whoever waits for it hears it.
  });
  return promise;
}
