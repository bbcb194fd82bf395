import { chmod, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { makeWorkFolder, run, sweepAbandoned, syncDirectory } from '@vmlet/host';
import { failpoint } from '../failpoint.ts';
import { errnoOf, makePrivateDir, writeFileAtomic } from '../store/index.ts';
import {
  MEMORY_FILE,
  RECORD_FILE,
  SNAPSHOT_FORMAT,
  type SnapshotInputs,
  type SnapshotRecord,
  STATE_FILE,
  snapshotKey,
  snapshotRecordSchema,
} from './format.ts';
import { hashFile, stampAt } from './stamp.ts';

/** A record is short; a longer one was written by somebody else. */
const MAX_RECORD_BYTES = 64 * 1024;
const BLOCK_BYTES = 512;

/** A snapshot whose files hash to what its record says. */
export interface Snapshot {
  readonly key: string;
  readonly memoryPath: string;
  readonly statePath: string;
  readonly serves: string | null;
  readonly createdMs: number;
}

/** A snapshot that is being made. Disposing of it before `commit` removes it. */
export interface SnapshotDraft extends AsyncDisposable {
  /** Neither file exists yet. */
  readonly memoryPath: string;
  readonly statePath: string;
  /**
   * Seals both files and gives the snapshot its name, in one step. One that stands there already is kept.
   * @throws the system call's error, such as ENOSPC; the signal's reason
   */
  commit(what: { serves: string | null }, signal?: AbortSignal): Promise<Snapshot>;
}

export interface SnapshotsConfig {
  dir: string;
  /** What all snapshots together may occupy on disk; beyond it those used longest ago go. */
  budgetBytes: number;
  /** A snapshot was found damaged, and is gone. */
  onDamaged: (damage: { key: string; found: string }) => void;
}

interface Known {
  snapshot: Snapshot;
  stamps: string;
}

/**
 * Snapshots on disk, one folder each, by the hash of all that they depend on. They can all be made again: whatever is
 * wrong with one makes it go, and never fails a start.
 */
export class Snapshots {
  readonly #config: SnapshotsConfig;
  readonly #verified = new Map<string, Known>();
  readonly #verifying = new Map<string, Promise<Snapshot | undefined>>();

  private constructor(config: SnapshotsConfig) {
    this.#config = config;
  }

  /** Opens the folder, making it if absent, and removes what an interrupted save has left. */
  static async open(config: SnapshotsConfig): Promise<Snapshots> {
    await makePrivateDir(config.dir);
    await sweepAbandoned(config.dir);
    return new Snapshots(config);
  }

  /** Where they are; on the disk that they fill. */
  get dir(): string {
    return this.#config.dir;
  }

  get budgetBytes(): number {
    return this.#config.budgetBytes;
  }

  /**
   * The snapshot with these inputs. It is hashed in full once in the life of this process; after that its files'
   * identities and times are compared, which takes two calls.
   * @returns undefined if there is none, or none that is whole: a damaged one is removed
   */
  async find(inputs: SnapshotInputs): Promise<Snapshot | undefined> {
    const key = snapshotKey(inputs);
    const known = this.#verified.get(key);
    if (known !== undefined) {
      if (known.stamps === (await stampsOf(known.snapshot).catch(() => undefined))) return known.snapshot;
      this.#verified.delete(key);
    }
    return await this.#verifyOnce(key);
  }

  /**
   * Hashes what is there before anybody asks for it, one after another, those used last first: a start that comes for one
   * meanwhile waits for what is left of it only.
   * @param signal ends it after the snapshot that it is at
   */
  async verifyAhead(signal: AbortSignal): Promise<void> {
    const all = await this.list();
    for (const { key } of all.toSorted((a, b) => b.usedMs - a.usedMs)) {
      if (signal.aborted) return;
      if (!this.#verified.has(key)) await this.#verifyOnce(key);
    }
  }

  #verifyOnce(key: string): Promise<Snapshot | undefined> {
    const running = this.#verifying.get(key) ?? this.#verify(key).finally(() => this.#verifying.delete(key));
    this.#verifying.set(key, running);
    return running;
  }

  /** Says that a snapshot was used: those used longest ago are the first to go. */
  async touch({ key }: Snapshot): Promise<void> {
    const now = new Date();
    // Gone meanwhile: then there is nothing to keep.
    await utimes(join(this.#config.dir, key, RECORD_FILE), now, now).catch(() => {});
  }

  /** A place to make a snapshot in. */
  async begin(inputs: SnapshotInputs): Promise<SnapshotDraft> {
    const key = snapshotKey(inputs);
    const folder = await makeWorkFolder(this.#config.dir, key);
    const memoryPath = join(folder.path, MEMORY_FILE);
    const statePath = join(folder.path, STATE_FILE);
    return {
      memoryPath,
      statePath,
      commit: async ({ serves }, signal) => {
        await seal([memoryPath, statePath], signal);
        const record: SnapshotRecord = {
          ...{ format: SNAPSHOT_FORMAT, key, inputs, serves, createdMs: Date.now() },
          memory: await hashFile(memoryPath, signal),
          state: await hashFile(statePath, signal),
        };
        await failpoint('snapshot.sealed');
        await this.#place(folder.path, record);
        await failpoint('snapshot.placed');
        const snapshot = await this.find(inputs);
        if (snapshot === undefined)
          throw new Error(`Cannot save snapshot "${key}": it was gone at once, expected it to stay`);
        await this.collect(key);
        return snapshot;
      },
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    };
  }

  /** Removes a snapshot. Machines that run from it keep its files open, and go on. */
  async remove(key: string): Promise<void> {
    this.#verified.delete(key);
    await rm(join(this.#config.dir, key), { recursive: true, force: true });
  }

  /**
   * Removes those used longest ago until the rest fits the budget.
   * @param keep is not removed, whatever it takes
   */
  async collect(keep?: string): Promise<void> {
    const all = await this.list();
    let total = all.reduce((sum, { diskBytes }) => sum + diskBytes, 0);
    for (const { key, diskBytes } of all.toSorted((a, b) => a.usedMs - b.usedMs)) {
      if (total <= this.#config.budgetBytes) return;
      if (key === keep) continue;
      await this.remove(key);
      total -= diskBytes;
    }
  }

  /**
   * Removes all that nobody can want any more.
   * @param wanted gives the keys of those that stay, and is asked after it is known which are there
   * @returns the keys of those that went
   */
  async retain(wanted: () => ReadonlySet<string>): Promise<string[]> {
    const there = await this.#keys();
    const stay = wanted();
    const stale = there.filter((key) => !stay.has(key));
    for (const key of stale) await this.remove(key);
    return stale;
  }

  /** What is there, whole or not: each one's disk use in bytes, and when it was used. */
  async list(): Promise<{ key: string; diskBytes: number; usedMs: number }[]> {
    return await Promise.all((await this.#keys()).map((key) => this.#use(key)));
  }

  async #keys(): Promise<string[]> {
    return (await readdir(this.#config.dir)).filter((name) => /^[0-9a-f]{64}$/.test(name));
  }

  async #use(key: string): Promise<{ key: string; diskBytes: number; usedMs: number }> {
    const folder = join(this.#config.dir, key);
    const stats = await Promise.all(
      [MEMORY_FILE, STATE_FILE, RECORD_FILE].map((name) => stat(join(folder, name)).catch(() => undefined)),
    );
    const diskBytes = stats.reduce((sum, one) => sum + (one?.blocks ?? 0) * BLOCK_BYTES, 0);
    return { key, diskBytes, usedMs: stats[2]?.mtimeMs ?? 0 };
  }

  async #verify(key: string): Promise<Snapshot | undefined> {
    const folder = join(this.#config.dir, key);
    try {
      const record = await readRecord(join(folder, RECORD_FILE), key);
      if (record === undefined) return undefined;
      const snapshot = {
        ...{ key, serves: record.serves, createdMs: record.createdMs },
        memoryPath: join(folder, MEMORY_FILE),
        statePath: join(folder, STATE_FILE),
      };
      // Taken before: a file that changes while it is hashed is not what was hashed.
      const stamps = await stampsOf(snapshot);
      await expectFile(snapshot.memoryPath, record.memory);
      await expectFile(snapshot.statePath, record.state);
      this.#verified.set(key, { snapshot, stamps });
      return snapshot;
    } catch (error) {
      const found = error instanceof Error ? error.message : String(error);
      this.#config.onDamaged({ key, found });
      await this.remove(key);
      return undefined;
    }
  }

  async #place(folder: string, record: SnapshotRecord): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify(record)}\n`);
    await writeFileAtomic(join(folder, RECORD_FILE), { bytes, mode: 0o444 });
    try {
      await rename(folder, join(this.#config.dir, record.key));
    } catch (error) {
      // Somebody else's, of the same inputs: as good as this one.
      if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error;
    }
    await syncDirectory(this.#config.dir);
  }
}

/** Read-only and on disk, all of it: what is hashed from here on is what every clone will map. */
async function seal(paths: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  for (const path of paths) {
    // What the guest never touched, or gave back as zeros, needs no disk.
    await run('fallocate', ['--dig-holes', path], { signal });
    await using file = await open(path, 'r');
    await file.sync();
    await chmod(path, 0o444);
  }
}

async function readRecord(path: string, key: string): Promise<SnapshotRecord | undefined> {
  const size = await stat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (size === undefined) return undefined;
  if (size.size > MAX_RECORD_BYTES) throw new Error(`its record has ${size.size} bytes`);
  const record = snapshotRecordSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  if (record.key !== key || snapshotKey(record.inputs) !== key) throw new Error('its record belongs to another key');
  return record;
}

async function stampsOf({ memoryPath, statePath }: Pick<Snapshot, 'memoryPath' | 'statePath'>): Promise<string> {
  return `${await stampAt(memoryPath)} ${await stampAt(statePath)}`;
}

async function expectFile(path: string, expected: { sizeBytes: number; sha256: string }): Promise<void> {
  const found = await hashFile(path);
  if (found.sha256 !== expected.sha256 || found.sizeBytes !== expected.sizeBytes) {
    throw new Error(`"${path}" has ${found.sizeBytes} bytes that hash to "${found.sha256}"`);
  }
}
