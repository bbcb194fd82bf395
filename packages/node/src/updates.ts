import type { ItemHash } from '@vmlet/messages';
import { type Deadline, deadline } from './deadline.ts';
import { asVmletError } from './errors.ts';
import type { Executions, ProgramLogs } from './executions/index.ts';
import type { ProgramTarget } from './gateway/index.ts';
import type { Ledger, ProgramRecord } from './ledger/index.ts';
import type { Replaced, Versions } from './versions.ts';

/** What requests under way get beyond what one may take, once another machine has taken their machine's place. In milliseconds. */
const RETIRE_MS = 60_000;
/** An update that found no room is tried again after so long, in milliseconds. */
const UPDATE_AGAIN_MS = 15_000;
/** How often. */
const MAX_UPDATE_TRIES = 20;

export interface UpdatesComponents {
  ledger: Pick<Ledger, 'programsUsing' | 'subscribe'>;
  executions: Pick<Executions, 'acquire' | 'replace' | 'retire' | 'isServing'>;
  versions: Versions;
  /** A program by its own item_hash, whatever has replaced it. @throws VmletError why it may not run */
  findVersion: (itemHash: ItemHash) => ProgramTarget;
  logs: Pick<ProgramLogs, 'of'>;
}

/** One step to a newer version. */
interface Update {
  /** Who serves until then. */
  readonly from: ItemHash;
  readonly take: (signal: AbortSignal) => Promise<void>;
}

/**
 * Takes updates while programs run: a machine of the newer version is started beside the one that serves, which goes on until
 * the new one is up; then it finishes its requests and is halted. A version that does not start changes nothing.
 */
export class Updates implements AsyncDisposable {
  readonly #components: UpdatesComponents;
  readonly #stop = new AbortController();
  /** By who is updated: the last asked for, and whether it is under way. */
  readonly #wanted = new Map<ItemHash, Update>();
  readonly #running = new Map<ItemHash, Promise<void>>();
  readonly #unsubscribe: () => void;

  constructor(components: UpdatesComponents) {
    this.#components = components;
    components.versions.onReplaced = (replaced) => this.#replaced(replaced);
    this.#unsubscribe = components.ledger.subscribe((event) => {
      if (event.type === 'updated') for (const ref of event.refs) this.#updated(ref);
    });
  }

  /** Resolves when no update is under way. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    this.#components.versions.onReplaced = () => {};
    this.#wanted.clear();
    this.#stop.abort(new Error('Cannot update: the node is stopping'));
    await this.settled();
  }

  /** Files of programs are others now; those that sleep start from them anyhow. */
  #updated(ref: string): void {
    const { ledger, executions } = this.#components;
    for (const program of ledger.programsUsing(ref)) {
      if (program.type !== 'PROGRAM' || !takesLatest(program, ref)) continue;
      const { itemHash } = program;
      this.#want(itemHash, {
        from: itemHash,
        take: async (signal) => {
          const target = this.#components.findVersion(itemHash);
          await executions.replace(target, { signal, withinMs: withinMs(target) });
        },
      });
    }
  }

  /** A program has a newer version. */
  #replaced({ original, from, to }: Replaced): void {
    const { executions, versions, findVersion } = this.#components;
    if (from === to) return;
    if (!executions.isServing(from)) {
      void executions.retire(from, { reason: 'a newer version has taken its place', withinMs: RETIRE_MS });
      return;
    }
    this.#want(original, {
      from,
      take: async (signal) => {
        const target = findVersion(to);
        const lease = await executions.acquire(target, signal);
        lease[Symbol.dispose]();
        versions.release(original);
        const reason = `version ${to.slice(0, 12)} has taken its place`;
        await executions.retire(from, { reason, withinMs: withinMs(target) });
      },
    });
  }

  #want(key: ItemHash, update: Update): void {
    if (this.#stop.signal.aborted) return;
    this.#wanted.set(key, update);
    if (this.#running.has(key)) return;
    const running = this.#run(key).finally(() => this.#running.delete(key));
    this.#running.set(key, running);
  }

  /** Never rejects. */
  async #run(key: ItemHash): Promise<void> {
    // The ledger tells the others of this first.
    await undefined;
    for (let tries = 1; ; tries++) {
      const update = this.#wanted.get(key);
      if (!update) return;
      this.#wanted.delete(key);
      const again = await this.#take(update, { isLast: tries >= MAX_UPDATE_TRIES });
      if (this.#wanted.has(key)) tries = 0;
      else if (again) this.#wanted.set(key, update);
    }
  }

  /** Whether it is to be tried once more; then this has waited for the time. */
  async #take({ from, take }: Update, { isLast }: { isLast: boolean }): Promise<boolean> {
    const { executions, logs } = this.#components;
    const { signal } = this.#stop;
    try {
      await take(signal);
      return false;
    } catch (error) {
      if (signal.aborted || !executions.isServing(from)) return false;
      const { message, entry } = asVmletError(error);
      const isShort = entry.phase === 'queue' && !isLast;
      const next = isShort ? ', and is tried again' : '';
      logs.of(from).platform(`An update was not taken: ${message}. What served before it goes on${next}`);
      if (!isShort) return false;
      using wait = deadline(UPDATE_AGAIN_MS, signal);
      await passed(wait);
      return !signal.aborted;
    }
  }
}

/** Whether a program asks for the newest STORE under a ref. */
function takesLatest({ content }: ProgramRecord, ref: string): boolean {
  const { code, runtime, data, volumes } = content;
  const parents = volumes.map((volume) => ('parent' in volume ? volume.parent : volume));
  return [code, runtime, data, ...parents].some((one) => {
    if (!one || !('ref' in one) || one.ref !== ref) return false;
    return one.use_latest !== false;
  });
}

/** A request may take its time, and a WebSocket has no end of its own. */
function withinMs({ seconds }: ProgramTarget): number {
  return seconds * 1000 + RETIRE_MS;
}

function passed({ signal }: Deadline): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
