import type { Dirent, Stats } from 'node:fs';
import { lstat, readdir, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { CliError } from '../errors.ts';
import { formatBytes } from '../terminal-text.ts';
import { type IgnoreRules, readIgnoreRules } from './ignore.ts';
import { PACK_LIMITS, type PackLimits } from './limits.ts';
import { largestAsText } from './sizes.ts';
import { unreadable } from './unreadable.ts';

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
  /** Folders that were entered, below the folder, itself as the empty path. */
  readonly folders: readonly string[];
  readonly sizeBytes: number;
}

export interface WalkOptions {
  signal: AbortSignal;
  limits?: PackLimits;
  /** Read from the folder where absent. */
  rules?: IgnoreRules;
}

/**
 * Lists what belongs to a program in a folder, in an order that depends on the names alone.
 * @throws CliError `FOLDER_UNREADABLE`, `FOLDER_EMPTY`, `FOLDER_LINK_OUTSIDE`, `FOLDER_FILE_TYPE`, `FOLDER_TOO_LARGE`
 */
export async function walkFolder(folder: string, options: WalkOptions): Promise<SourceFolder> {
  const rules = options.rules ?? (await readIgnoreRules(folder));
  const walk = new Walk(folder, { ...options, leavesOut: (path, isFolder) => rules.ignores(path, { isFolder }) });
  await walk.enter('');
  const walked = walk.result();
  if (walked.files.length === 0) throw new CliError('FOLDER_EMPTY', { operands: { path: folder } });
  return walked;
}

/**
 * Lists installed packages by their folders, and links by their own paths. A package's own node_modules is not a part
 * of it: what is in there is named for itself.
 * @throws as `walkFolder`
 */
export async function walkModules(
  folder: string,
  paths: readonly string[],
  options: WalkOptions & { rules: IgnoreRules },
): Promise<SourceFolder> {
  const leavesOut = (path: string, isFolder: boolean) =>
    (isFolder && basename(path) === 'node_modules') || options.rules.ignoresModule(path, { isFolder });
  const walk = new Walk(folder, { ...options, leavesOut });
  for (const path of paths) await walk.start(path);
  return walk.result();
}

/** What a path on the command line names: a folder, or one file. */
export async function kindOfPath(path: string): Promise<'file' | 'folder'> {
  const found = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  return found.isDirectory() ? 'folder' : 'file';
}

/** A folder that holds one file of another, as if it stood alone. */
export async function walkFile(path: string): Promise<SourceFolder> {
  const { size, mode } = await stat(path);
  const file = { path: basename(path), absolutePath: path, sizeBytes: size, isExecutable: (mode & 0o100) !== 0 };
  return { files: [file], ignored: [], folders: [], sizeBytes: size };
}

/**
 * Refuses more files or bytes than a node takes, naming the largest.
 * @param path the folder, for the error
 * @throws CliError `FOLDER_TOO_LARGE`
 */
export function checkPackLimits(files: readonly SourceFile[], path: string, limits: PackLimits = PACK_LIMITS): void {
  const { maxFiles, maxUnpackedBytes } = limits;
  const sizeBytes = files.reduce((total, file) => total + file.sizeBytes, 0);
  const found =
    files.length > maxFiles
      ? { found: `more than ${maxFiles} files`, limit: `${maxFiles} files` }
      : { found: `${formatBytes(sizeBytes)} of files`, limit: formatBytes(maxUnpackedBytes) };
  if (files.length <= maxFiles && sizeBytes <= maxUnpackedBytes) return;
  throw new CliError('FOLDER_TOO_LARGE', { operands: { path, ...found }, detail: largestAsText(files) });
}

/** By the bytes of UTF-8: the same on every machine, whatever its language. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

interface WalkSettings extends WalkOptions {
  leavesOut: (path: string, isFolder: boolean) => boolean;
}

class Walk {
  readonly #files: SourceFile[] = [];
  readonly #ignored: string[] = [];
  readonly #folders: string[] = [];
  #sizeBytes = 0;
  #realFolder: Promise<string> | undefined;
  readonly #folder: string;
  readonly #limits: PackLimits;
  readonly #settings: WalkSettings;

  constructor(folder: string, settings: WalkSettings) {
    this.#folder = folder;
    this.#limits = settings.limits ?? PACK_LIMITS;
    this.#settings = settings;
  }

  result(): SourceFolder {
    checkPackLimits(this.#files, this.#folder, this.#limits);
    return {
      files: this.#files.toSorted((a, b) => compareBytes(a.path, b.path)),
      ignored: this.#ignored.toSorted(compareBytes),
      folders: this.#folders,
      sizeBytes: this.#sizeBytes,
    };
  }

  /** Takes one path, whatever the rules say of the folders above it. */
  async start(path: string): Promise<void> {
    const absolutePath = join(this.#folder, path);
    const found = await this.#stat(absolutePath);
    if (this.#settings.leavesOut(path, found.isDirectory() && basename(path) !== 'node_modules')) return;
    if (found.isDirectory()) await this.enter(path);
    else await this.#add(path, found);
  }

  async enter(path: string): Promise<void> {
    const { signal, leavesOut } = this.#settings;
    signal.throwIfAborted();
    const entries = await this.#list(join(this.#folder, path));
    // An environment of this machine, whatever its folder is called.
    if (path !== '' && entries.some((entry) => entry.name === 'pyvenv.cfg')) {
      this.#ignored.push(`${path}/`);
      return;
    }
    this.#folders.push(path);
    for (const entry of entries) {
      const below = path === '' ? entry.name : `${path}/${entry.name}`;
      const isFolder = entry.isDirectory();
      if (leavesOut(below, isFolder)) this.#ignored.push(isFolder ? `${below}/` : below);
      else if (isFolder) await this.enter(below);
      else await this.#add(below, entry);
    }
    this.#checkCount();
  }

  async #add(path: string, entry: Dirent | Stats): Promise<void> {
    const absolutePath = join(this.#folder, path);
    if (!entry.isFile() && !entry.isSymbolicLink()) {
      throw new CliError('FOLDER_FILE_TYPE', { operands: { path, found: typeName(entry) } });
    }
    if (entry.isSymbolicLink()) {
      const linkTarget = await this.#checkLink(path, absolutePath);
      this.#files.push({ path, absolutePath, sizeBytes: 0, isExecutable: false, linkTarget });
    } else {
      const { size, mode } = await this.#stat(absolutePath);
      this.#sizeBytes += size;
      this.#files.push({ path, absolutePath, sizeBytes: size, isExecutable: (mode & 0o100) !== 0 });
    }
  }

  /** Both as written and as the file system follows it: a way through another link may lead elsewhere, or nowhere. */
  async #checkLink(path: string, absolutePath: string): Promise<string> {
    const target = await readlink(absolutePath);
    const written = resolve(dirname(absolutePath), target);
    const followed = await realpath(absolutePath).catch(() => undefined);
    this.#realFolder ??= realpath(this.#folder);
    const staysInside = followed !== undefined && isInside(await this.#realFolder, followed);
    if (target.startsWith('/') || !isInside(this.#folder, written) || !staysInside) {
      throw new CliError('FOLDER_LINK_OUTSIDE', { operands: { path, target } });
    }
    return target;
  }

  /** While walking: a tree without end is not listed to its end. */
  #checkCount(): void {
    if (this.#files.length > this.#limits.maxFiles) checkPackLimits(this.#files, this.#folder, this.#limits);
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

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !way.startsWith('/');
}

function typeName(entry: Dirent | Stats): string {
  if (entry.isSocket()) return 'a socket';
  if (entry.isFIFO()) return 'a pipe';
  return 'a device';
}
