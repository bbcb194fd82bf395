import type { ItemHash } from '@vmlet/messages';
import type { Executions, ExecutionsConfig, ProgramLogs } from './executions/index.ts';
import type { Ledger } from './ledger/index.ts';
import type { Backend } from './machines/index.ts';
import { WaitingMachines } from './machines/snapshot/index.ts';
import { type NodeOptions, SNAPSHOT_BUDGET_MIB } from './node-options.ts';
import type { createPrograms } from './programs.ts';
import { Snapshots } from './snapshots/index.ts';
import { hostFacts, type Saved, SnapshotMaker, type Starts } from './starts/index.ts';
import type { Logger } from './telemetry/index.ts';

const MIB = 1024 * 1024;

/** Where machines of a node are saved; undefined where they are not. */
export async function openSnapshots(
  { snapshotBudgetMiB = SNAPSHOT_BUDGET_MIB, signal = new AbortController().signal }: NodeOptions,
  { backend, dir, log }: { backend: Backend; dir: string; log: Logger },
): Promise<Saved | undefined> {
  if (snapshotBudgetMiB === 0) return undefined;
  const snapshots = await Snapshots.open({
    dir,
    budgetBytes: snapshotBudgetMiB * MIB,
    onDamaged: (damage) => log.warn(damage, 'a snapshot is damaged, and is removed'),
  });
  return { snapshots, host: await hostFacts(backend, signal) };
}

/** Processes started ahead for the machines that are restored. */
export function waitingFor(
  { cage, kit, namePrefix }: Backend,
  { perShape, log }: { perShape: number; log: Logger },
): WaitingMachines {
  const onError = (err: unknown) => log.warn({ err }, 'a process was not started ahead');
  return new WaitingMachines({ cage, library: kit.lateFiles, namePrefix, perShape, onError });
}

interface Making {
  backend: Backend;
  saved: Saved;
  starts: Starts;
  executions: Pick<Executions, 'turn'>;
  programs: Pick<ReturnType<typeof createPrograms>, 'find'>;
  ledger: Pick<Ledger, 'subscribe'>;
  logs: ProgramLogs;
  config: Pick<ExecutionsConfig, 'bootDeadlineMs' | 'loadDeadlineMs'>;
  log: Logger;
}

/**
 * Makes the snapshot of each program that is published, and of each that had to be started without. Disposing of it
 * ends what is being made.
 */
export function saveInBackground(making: Making): AsyncDisposable {
  const { backend, saved, starts, executions, programs, ledger, logs, config, log } = making;
  const { bootDeadlineMs, loadDeadlineMs } = config;
  const maker = new SnapshotMaker({
    ...{ backend, saved, bootDeadlineMs, loadDeadlineMs, log },
    turn: (program, signal) => executions.turn(program, signal),
    say: (itemHash, text) => logs.of(itemHash).platform(text),
  });
  const want = (itemHash: ItemHash) => {
    const target = runnableOrUndefined(programs, itemHash);
    if (target) maker.want(target);
  };
  const unsubscribe = ledger.subscribe((event) => {
    if (event.type === 'processed' && event.message.type === 'PROGRAM') want(event.message.itemHash);
  });
  starts.onMissed = ({ itemHash }) => want(itemHash);
  starts.onRefused = (key) => maker.refused(key);
  return {
    [Symbol.asyncDispose]: async () => {
      unsubscribe();
      await maker[Symbol.asyncDispose]();
    },
  };
}

/** Whoever asks for one that may not run is told why; here it is only not made. */
function runnableOrUndefined(programs: Making['programs'], itemHash: ItemHash) {
  try {
    return programs.find(itemHash);
  } catch {
    return undefined;
  }
}
