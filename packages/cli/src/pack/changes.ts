import { type FSWatcher, watch } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError } from '../errors.ts';
import { IGNORE_FILE, type IgnoreRules, readIgnoreRules } from './ignore.ts';

/** What npm and others write last when packages are installed: one look at it does for all of them. */
const INSTALLED_NOTES = new Set(['.package-lock.json', '.modules.yaml', '.yarn-state.yml', '.yarn-integrity']);

/**
 * Tells of changes to what is packed of a folder, or to one file. Folders that are left out are not watched: one
 * descriptor of the system is taken for each folder that is, and none for what packages consist of.
 */
export class Changes implements Disposable {
  readonly #folder: string;
  /** The one file that matters; undefined for all. */
  readonly #file: string | undefined;
  readonly #watchers = new Map<string, FSWatcher>();
  #rules: IgnoreRules | undefined;
  #changed = Promise.withResolvers<string>();

  /** @param file name of the one file in the folder that matters */
  constructor(folder: string, file?: string) {
    this.#folder = folder;
    this.#file = file;
  }

  /** Resolves with a path at the first change since the last `watch` or `renew`; rejects if the system stops telling. */
  get changed(): Promise<string> {
    return this.#changed.promise;
  }

  /** Forgets the changes so far. */
  renew(): void {
    this.#changed = Promise.withResolvers();
    // Nobody may be waiting for it when it fails.
    this.#changed.promise.catch(() => {});
  }

  /**
   * Forgets the changes so far and watches every folder that is there now. What changes after it has returned is told;
   * what changed before is seen by whoever looks at the folder next.
   * @throws CliError `WATCH_FAILED`
   */
  async watch(): Promise<void> {
    this.renew();
    this.#rules = await readIgnoreRules(this.#folder);
    const folders = this.#file === undefined ? await this.#list('') : [''];
    for (const [path, watcher] of this.#watchers) {
      if (folders.includes(path)) continue;
      watcher.close();
      this.#watchers.delete(path);
    }
    for (const path of folders) this.#watchOne(path);
  }

  [Symbol.dispose](): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** Watched before it is read, so that a folder made in it meanwhile is told. */
  async #list(path: string): Promise<string[]> {
    this.#watchOne(path);
    const entries = await readdir(join(this.#folder, path), { withFileTypes: true }).catch(() => []);
    const below: string[] = [];
    for (const entry of entries) {
      const child = path === '' ? entry.name : `${path}/${entry.name}`;
      if (!entry.isDirectory()) continue;
      if (entry.name === 'node_modules') below.push(child);
      else if (!this.#rules?.ignores(child, { isFolder: true })) below.push(...(await this.#list(child)));
    }
    return [path, ...below];
  }

  #watchOne(path: string): void {
    if (this.#watchers.has(path)) return;
    const folder = join(this.#folder, path);
    try {
      const watcher = watch(folder, (_event, name) => this.#tell(path, name));
      watcher.on('error', (error) => this.#changed.reject(failure(folder, error)));
      this.#watchers.set(path, watcher);
    } catch (error) {
      // It was there a moment ago: that it is gone is told by the folder above.
      if (codeOf(error) !== 'ENOENT') throw failure(folder, error);
    }
  }

  #tell(folder: string, name: string | null): void {
    const path = [folder, name ?? ''].filter((part) => part !== '').join('/');
    if (this.#matters(folder, name ?? '', path)) this.#changed.resolve(path);
  }

  #matters(folder: string, name: string, path: string): boolean {
    if (this.#file !== undefined) return name === this.#file;
    if (/(?:^|\/)node_modules$/.test(folder)) return INSTALLED_NOTES.has(name);
    if (path === '' || path === IGNORE_FILE) return true;
    // Whether it is a folder cannot be told of what is gone.
    const isFolder = [true, false];
    return name === 'node_modules' || isFolder.every((each) => !this.#rules?.ignores(path, { isFolder: each }));
  }
}

function failure(path: string, error: unknown): CliError {
  const code = codeOf(error);
  const known: Readonly<Record<string, string>> = {
    ENOSPC: 'there are more folders than the system watches for one user',
    EMFILE: 'there are more watchers than the system has for one user',
  };
  return new CliError('WATCH_FAILED', { operands: { path, found: known[code] ?? code }, cause: error });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
