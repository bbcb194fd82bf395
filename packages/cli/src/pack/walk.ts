import type { Dirent, Stats } from 'node:fs';
import { lstat, readdir, readlink, realpath } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { CliError } from '../errors.ts';
import { formatBytes } from '../terminal-text.ts';
import { isIgnored } from './ignore.ts';
import { PACK_LIMITS, type PackLimits } from './limits.ts';

/** One thing to pack. */
export interface SourceFile {
  /** Below the folder, with slashes. */
  readonly path: string;
  readonly absolutePath: string;
  /** Of the file; 0 for a link. */
  readonly sizeBytes: number;
  readonly isExecutable: boolean;
  /** Where a symbolic link points to, as it is written. */
  readonly linkTarget?: string;
}

export interface SourceFolder {
  readonly files: readonly SourceFile[];
  /** What was left out, below the folder; a folder's contents are not listed. */
  readonly ignored: readonly string[];
  readonly sizeBytes: number;
}

export interface WalkOptions {
  signal: AbortSignal;
  limits?: PackLimits;
}

/**
 * Lists what belongs to a program in a folder, in an order that depends on the names alone.
 * @throws CliError `FOLDER_UNREADABLE`, `FOLDER_EMPTY`, `FOLDER_LINK_OUTSIDE`, `FOLDER_FILE_TYPE`, `FOLDER_TOO_LARGE`
 */
export async function walkFolder(folder: string, options: WalkOptions): Promise<SourceFolder> {
  const walk = new Walk(folder, options);
  await walk.enter('');
  const files = walk.files.toSorted((a, b) => compareBytes(a.path, b.path));
  if (files.length === 0) throw new CliError('FOLDER_EMPTY', { operands: { path: folder } });
  return { files, ignored: walk.ignored.toSorted(compareBytes), sizeBytes: walk.sizeBytes };
}

/** By the bytes of UTF-8: the same on every machine, whatever its language. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

class Walk {
  readonly files: SourceFile[] = [];
  readonly ignored: string[] = [];
  sizeBytes = 0;
  readonly #folder: string;
  readonly #limits: PackLimits;
  readonly #signal: AbortSignal;

  constructor(folder: string, { signal, limits = PACK_LIMITS }: WalkOptions) {
    this.#folder = folder;
    this.#limits = limits;
    this.#signal = signal;
  }

  async enter(path: string): Promise<void> {
    this.#signal.throwIfAborted();
    const entries = await this.#list(join(this.#folder, path));
    // An environment of this machine, whatever its folder is called.
    if (path !== '' && entries.some((entry) => entry.name === 'pyvenv.cfg')) {
      this.ignored.push(`${path}/`);
      return;
    }
    for (const entry of entries) {
      const below = path === '' ? entry.name : `${path}/${entry.name}`;
      if (isIgnored(entry.name)) this.ignored.push(entry.isDirectory() ? `${below}/` : below);
      else if (entry.isDirectory()) await this.enter(below);
      else await this.#add(below, entry);
    }
  }

  async #add(path: string, entry: Dirent): Promise<void> {
    const absolutePath = join(this.#folder, path);
    if (!entry.isFile() && !entry.isSymbolicLink()) {
      throw new CliError('FOLDER_FILE_TYPE', { operands: { path, found: typeName(entry) } });
    }
    if (entry.isSymbolicLink()) {
      const linkTarget = await this.#checkLink(path, absolutePath);
      this.files.push({ path, absolutePath, sizeBytes: 0, isExecutable: false, linkTarget });
    } else {
      const { size, mode } = await this.#stat(absolutePath);
      this.sizeBytes += size;
      this.files.push({ path, absolutePath, sizeBytes: size, isExecutable: (mode & 0o100) !== 0 });
    }
    this.#checkLimits();
  }

  /** Both as written and as the file system follows it: a way through another link may lead elsewhere, or nowhere. */
  async #checkLink(path: string, absolutePath: string): Promise<string> {
    const target = await readlink(absolutePath);
    const written = resolve(dirname(absolutePath), target);
    const followed = await realpath(absolutePath).catch(() => undefined);
    const staysInside = followed !== undefined && isInside(await realpath(this.#folder), followed);
    if (target.startsWith('/') || !isInside(this.#folder, written) || !staysInside) {
      throw new CliError('FOLDER_LINK_OUTSIDE', { operands: { path, target } });
    }
    return target;
  }

  #checkLimits(): void {
    const { maxFiles, maxUnpackedBytes } = this.#limits;
    const operands = { path: this.#folder, largest: largestOf(this.files) };
    if (this.files.length > maxFiles) {
      const found = `more than ${maxFiles} files`;
      throw new CliError('FOLDER_TOO_LARGE', { operands: { ...operands, found, limit: `${maxFiles} files` } });
    }
    if (this.sizeBytes > maxUnpackedBytes) {
      const found = `at least ${formatBytes(this.sizeBytes)} of files`;
      const limit = formatBytes(maxUnpackedBytes);
      throw new CliError('FOLDER_TOO_LARGE', { operands: { ...operands, found, limit } });
    }
  }

  async #list(folder: string): Promise<Dirent[]> {
    try {
      return await readdir(folder, { withFileTypes: true });
    } catch (error) {
      throw unreadable(folder, error);
    }
  }

  async #stat(path: string): Promise<Stats> {
    try {
      return await lstat(path);
    } catch (error) {
      throw unreadable(path, error);
    }
  }
}

/** The three largest files, for the error that says there is too much. */
export function largestOf(files: readonly SourceFile[]): string {
  return files
    .toSorted((a, b) => b.sizeBytes - a.sizeBytes)
    .slice(0, 3)
    .map((file) => `${file.path} (${formatBytes(file.sizeBytes)})`)
    .join(', ');
}

/** The error of a file or folder that cannot be read. */
export function unreadable(path: string, error: unknown): CliError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'it does not exist',
    ENOTDIR: 'it is not a folder',
    EACCES: 'this user may not read it',
  };
  return new CliError('FOLDER_UNREADABLE', { operands: { path, found: reasons[code] ?? code }, cause: error });
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !way.startsWith('/');
}

function typeName(entry: Dirent): string {
  if (entry.isSocket()) return 'a socket';
  if (entry.isFIFO()) return 'a pipe';
  return 'a device';
}
