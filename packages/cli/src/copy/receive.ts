import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, realpath, rm, stat, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { COPY, type SessionRecord } from '@vmlet/guest-protocol/session';
import { CliError } from '../errors.ts';
import { formatBytes } from '../terminal-text.ts';
import { type Copied, decodeEntry, decodeFailure, type Entry } from './entries.ts';
import { failureOfErrno, failureOfSystem } from './failures.ts';
import { MAX_COPY_BYTES, MAX_COPY_ENTRIES, MAX_COPY_PATH_BYTES } from './limits.ts';

/** A folder is never made so that what belongs in it cannot be written. */
const FOLDER_MODE = 0o700;
const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

export interface ReceiveOptions {
  /** Where the copy goes: into a folder that is there, else it gets this path. */
  target: string;
  /** The name that it has in a folder. */
  name: string;
  limits?: { bytes: number; entries: number };
}

/**
 * Writes what a machine sends below one path, and nothing outside of it, whatever it sends: a path has names only, its
 * folder was made or found by this copy, no link is written before all else is, and none leads out. Only files, folders
 * and links are made, with permissions and no more.
 */
export class Receiver implements AsyncDisposable {
  readonly copied: Copied = { files: 0, folders: 0, links: 0, bytes: 0 };
  /** Links that lead out of the copy, which are left out. */
  readonly leftOut: string[] = [];
  readonly #options: ReceiveOptions;
  readonly #limits: { bytes: number; entries: number };
  /** Folders of the copy that are known to be folders. */
  readonly #folders = new Set<string>();
  readonly #links: Entry[] = [];
  #root: string | undefined;
  #file: FileHandle | undefined;

  constructor(options: ReceiveOptions) {
    this.#options = options;
    this.#limits = options.limits ?? { bytes: MAX_COPY_BYTES, entries: MAX_COPY_ENTRIES };
  }

  /**
   * Takes one record. True when it was the last one, and all is written.
   * @throws CliError `COPY_REFUSED`, `COPY_FAILED`
   */
  async take(record: SessionRecord): Promise<boolean> {
    if (record.type === COPY.FAILED) {
      const { errno, path } = decodeFailure(record);
      throw failureOfErrno(errno, path);
    }
    if (record.type === COPY.DATA) return await this.#write(record.payload);
    await this.#closeFile();
    if (record.type === COPY.DONE) return await this.#finish();
    const entry = decodeEntry(record);
    if (!entry) throw this.#refuse('a record that is none', 'files, folders and links with names in UTF-8');
    await failureOfSystem(entry.path || this.#options.target, () => this.#make(entry));
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#closeFile();
  }

  async #make(entry: Entry): Promise<void> {
    const { type, path, mode } = entry;
    this.#check(entry);
    this.#root ??= await rootOf(this.#options);
    const at = join(this.#root, path);
    if (type === 'folder') {
      await makeFolder(at, mode);
      this.#folders.add(path);
    } else if (type === 'file') {
      await rm(at, { force: true });
      this.#file = await open(at, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    } else {
      this.#links.push(entry);
    }
    this.copied[`${type}s`] += 1;
  }

  #check({ path, type }: Entry): void {
    const { files, folders, links } = this.copied;
    const isFirst = this.#root === undefined;
    if (files + folders + links >= this.#limits.entries) throw this.#refuse('more', `${this.#limits.entries} entries`);
    if (isFirst !== (path === '') || (isFirst && type === 'link')) {
      throw this.#refuse(`an entry "${path}" out of turn`, 'the copied file or folder first, and once');
    }
    if (isFirst) return;
    const names = path.split('/');
    const isName = (name: string) => name !== '' && name !== '.' && name !== '..';
    if (!names.every(isName) || Buffer.byteLength(path) > MAX_COPY_PATH_BYTES) {
      throw this.#refuse(`the path "${path}"`, 'names below what is copied');
    }
    // So no link, and nothing that was there before, is ever a part of the way.
    const folder = names.slice(0, -1).join('/');
    if (!this.#folders.has(folder))
      throw this.#refuse(`"${path}" without its folder`, 'each folder before its entries');
  }

  async #write(bytes: Buffer): Promise<false> {
    if (!this.#file) throw this.#refuse('bytes of no file', 'a file before its bytes');
    this.copied.bytes += bytes.length;
    if (this.copied.bytes > this.#limits.bytes) {
      throw this.#refuse(`more than ${formatBytes(this.#limits.bytes)}`, 'less in one copy');
    }
    const file = this.#file;
    await failureOfSystem(this.#options.target, () => file.writeFile(bytes));
    return false;
  }

  async #finish(): Promise<true> {
    const root = this.#root;
    if (root === undefined) throw this.#refuse('nothing', 'a file or a folder');
    for (const { path, target } of this.#links) {
      if (!staysInside(path, target)) {
        this.leftOut.push(path);
        this.copied.links -= 1;
        continue;
      }
      await failureOfSystem(path, async () => {
        await rm(join(root, path), { force: true });
        await symlink(target, join(root, path));
      });
    }
    return true;
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  #refuse(found: string, expected: string): CliError {
    return new CliError('COPY_REFUSED', { operands: { path: this.#options.target, found, expected } });
  }
}

/** The path of the copy itself; what is on the way to it is the user's own choice, links included. */
async function rootOf({ target, name }: ReceiveOptions): Promise<string> {
  const there = await stat(target).catch(() => undefined);
  if (there?.isDirectory()) return join(await realpath(target), name);
  return join(await realpath(dirname(target)), basename(target));
}

async function makeFolder(path: string, mode: number): Promise<void> {
  try {
    await mkdir(path, mode | FOLDER_MODE);
  } catch (error) {
    const there = await lstat(path).catch(() => undefined);
    // A link to a folder is no folder here: it may lead anywhere.
    if (!there?.isDirectory()) throw error;
  }
}

/**
 * Whether a link cannot lead out of the copy: relative, upwards only at its beginning, and no further up than the copy.
 * The folder that it lies in is a real one, so counting names is exact; what else it passes are links that stay inside.
 */
export function staysInside(path: string, target: string): boolean {
  const names = target.split('/');
  const up = names.findIndex((name) => name !== '..');
  const rest = up < 0 ? [] : names.slice(up);
  const ups = up < 0 ? names.length : up;
  if (target === '' || target.startsWith('/') || rest.includes('..')) return false;
  return ups <= path.split('/').length - 1;
}
