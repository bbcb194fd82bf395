import type { ItemHash } from '@vmlet/messages';
import type { Executions, ExecutionsConfig, ProgramLogs } from './executions/index.ts';
import type { GuestApi } from './guest-api/index.ts';
import type { Ledger, LedgerEvent } from './ledger/index.ts';
import type { Backend } from './machines/index.ts';
import { WaitingMachines } from './machines/snapshot/index.ts';
import { type NodeOptions, SNAPSHOT_BUDGET_MIB } from './node-options.ts';
import type { createPrograms } from './programs.ts';
import { Snapshots } from './snapshots/index.ts';
import { hostFacts, keysOf, type Saved, SnapshotMaker, type Starts } from './starts/index.ts';
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
  return { snapshots, host: await hostFacts(backend.cage.qemu, signal) };
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
  hostOf: GuestApi['hostOf'];
  starts: Starts;
  executions: Pick<Executions, 'turn'>;
  programs: Pick<ReturnType<typeof createPrograms>, 'find' | 'facts'>;
  ledger: Pick<Ledger, 'subscribe' | 'programsUsing'>;
  logs: ProgramLogs;
  config: Pick<ExecutionsConfig, 'bootDeadlineMs' | 'loadDeadlineMs'>;
  log: Logger;
}

/** What `doctor` tells of snapshots. */
export interface SnapshotFacts {
  count: number;
  diskBytes: number;
  budgetBytes: number;
  /** Why the last one was not made; undefined if it was. */
  lastFailure: string | undefined;
}

/** Disposing of it ends what is being made. */
export interface Saving extends AsyncDisposable, Pick<SnapshotMaker, 'stateOf'> {
  facts(): Promise<SnapshotFacts>;
}

/** Makes the snapshot of each program that is published, and of each that had to be started without. */
export function saveInBackground(making: Making): Saving {
  const { backend, saved, hostOf, starts, executions, programs, ledger, logs, config, log } = making;
  const { bootDeadlineMs, loadDeadlineMs } = config;
  const maker = new SnapshotMaker({
    ...{ backend, saved, hostOf, bootDeadlineMs, loadDeadlineMs, log },
    turn: (program, signal) => executions.turn(program, signal),
    say: (itemHash, text) => logs.of(itemHash).platform(text),
  });
  const want = (itemHash: ItemHash) => {
    const target = runnableOrUndefined(programs, itemHash);
    if (target) maker.want(target);
  };
  const collecting = new Collecting(making);
  const unsubscribe = ledger.subscribe((event) => {
    if (event.type === 'processed' && event.message.type === 'PROGRAM') want(event.message.itemHash);
    // Of those that are not running too: their next start shall be a quick one.
    if (event.type === 'updated') {
      for (const ref of event.refs) for (const { itemHash } of ledger.programsUsing(ref)) want(itemHash);
    }
    if (mayOutdate(event)) collecting.want();
  });
  // Those of another boot kit, QEMU or host, too.
  collecting.want();
  const ending = new AbortController();
  const verified = verifyAhead(collecting.settled(), { saved, log, signal: ending.signal });
  starts.onMissed = ({ itemHash }) => want(itemHash);
  starts.onRefused = (key) => maker.refused(key);
  return {
    stateOf: (itemHash) => maker.stateOf(itemHash),
    facts: async () => {
      const all = await saved.snapshots.list();
      const diskBytes = all.reduce((sum, one) => sum + one.diskBytes, 0);
      const { budgetBytes } = saved.snapshots;
      return { count: all.length, diskBytes, budgetBytes, lastFailure: maker.lastFailure };
    },
    [Symbol.asyncDispose]: async () => {
      unsubscribe();
      ending.abort();
      await verified;
      await maker[Symbol.asyncDispose]();
      await collecting.settled();
    },
  };
}

/** Hashes the snapshots that stay, so that no request waits for that. */
async function verifyAhead(
  collected: Promise<void>,
  { saved, log, signal }: Pick<Making, 'saved' | 'log'> & { signal: AbortSignal },
): Promise<void> {
  try {
    await collected;
    await saved.snapshots.verifyAhead(signal);
  } catch (err) {
    log.warn({ err }, 'snapshots were not hashed ahead');
  }
}

/** Whether a change may make a snapshot one that nobody can want: a program goes, or a file takes another's place. */
function mayOutdate(event: LedgerEvent): boolean {
  return event.type === 'forgotten' || event.type === 'removed' || event.type === 'updated';
}

/** Removes snapshots that no program can be started from any more; when it is wanted while it runs, once more. */
class Collecting {
  readonly #making: Making;
  #running: Promise<void> | undefined;
  #again = false;

  constructor(making: Making) {
    this.#making = making;
  }

  want(): void {
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { backend, saved, programs, log } = this.#making;
    while (this.#again) {
      this.#again = false;
      try {
        const wanted = () => keysOf(programs.facts(), { backend, host: saved.host });
        const removed = await saved.snapshots.retain(wanted);
        if (removed.length > 0) log.info({ removed }, 'removed snapshots that no program is started from any more');
      } catch (err) {
        log.warn({ err }, 'snapshots that nobody wants were not removed');
      }
    }
  }
}

/** Whoever asks for one that may not run is told why; here it is only not made. */
function runnableOrUndefined(programs: Making['programs'], itemHash: ItemHash) {
  try {
    return programs.find(itemHash);
  } catch {
    return undefined;
  }
}
