import { type Deadline, deadline, orAborted } from '../deadline.ts';
import { VmletError } from '../errors.ts';
import { failpoint } from '../failpoint.ts';
import type { Machine } from './machine.ts';
import { QmpError } from './qmp/client.ts';
import type { StateReceiver } from './state-receiver.ts';
import { StreamBroken } from './wire/stream.ts';

export interface CaptureOptions {
  deadlineMs: number;
  /** A port to which clones find a connection open: the first request of each needs none to be made. */
  parkPort?: number | undefined;
  signal: AbortSignal;
}

/**
 * Saves a machine that was booted with `save` and has never served anybody. Its memory is in that file when this
 * returns, and the machine is gone: there is nothing that it could still be used for.
 * @returns the state of its devices
 * @throws VmletError `SNAPSHOT_FAILED`, or why the machine ended; the signal's reason
 */
export async function captureMachine(
  machine: Machine,
  receiver: StateReceiver,
  options: CaptureOptions,
): Promise<Buffer> {
  using limit = deadline(options.deadlineMs, options.signal);
  try {
    machine.prepare();
    await orAborted(machine.reached('prepared'), limit.signal);
    await failpoint('snapshot.prepared');
    await machine.endCalls(limit.signal);
    if (options.parkPort !== undefined) await park(machine, options.parkPort, limit);
    machine.freeze();
    await orAborted(machine.reached('frozen'), limit.signal);
    await failpoint('snapshot.frozen');
    await refuseConnected(machine);
    return await save(machine, receiver, limit);
  } catch (error) {
    const late = limit.expired ? tooLate(machine, limit.ms) : undefined;
    machine.kill();
    const reason = await machine.ended;
    // QMP's socket closes a moment before the process is reaped; how that ended says more.
    throw late ?? (error instanceof QmpError && !limit.signal.aborted ? reason : error);
  } finally {
    machine.kill();
    await machine.ended;
  }
}

/** Without it a clone connects as it does for its second request: a snapshot that is less warm, not a wrong one. */
async function park(machine: Machine, port: number, limit: Deadline): Promise<void> {
  try {
    await machine.park(port, limit.signal);
  } catch (error) {
    if (!(error instanceof StreamBroken)) throw error;
  }
}

/** A launcher that knows nothing of snapshots never says that it is prepared. */
function tooLate({ state }: Machine, ms: number): VmletError {
  return new VmletError('SNAPSHOT_FAILED', { operands: { found: `it was "${state}" after ${ms} ms` } });
}

/** Connections through its network card would be a clone's too, with nobody at their other end. */
async function refuseConnected(machine: Machine): Promise<void> {
  const answer = await machine.qmp.execute('human-monitor-command', { 'command-line': 'info usernet' });
  const open = typeof answer === 'string' ? connectionsIn(answer) : 0;
  if (open === 0) return;
  const found = `the program holds ${open} connections to elsewhere open, expected it to open them when it is asked`;
  throw new VmletError('SNAPSHOT_FAILED', { operands: { found } });
}

/** How many TCP connections QEMU's user-mode network has that neither side has closed. */
export function connectionsIn(infoUsernet: string): number {
  return infoUsernet.match(/^\s*TCP\[(?:ESTABLISHED|SYN_SENT|SYN_RCVD|CLOSE_WAIT)\]/gm)?.length ?? 0;
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
