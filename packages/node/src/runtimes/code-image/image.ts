import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { CommandFailed, run, syncDirectory } from '@vmlet/host';
import type { FileHash } from '@vmlet/messages';
import { type Pack, pack } from 'tar-stream';
import { asVmletError, VmletError } from '../../errors.ts';
import { failpoint } from '../../failpoint.ts';
import { UNPACK_LIMITS, type UnpackLimits } from './limits.ts';
import { refuse } from './tree.ts';
import { isCut, zipToTar } from './zip-to-tar.ts';

export type CodeEncoding = 'zip' | 'plain' | 'squashfs';

/** Begins the names of unfinished images. The folder is the node's own, so all that bear it at a start are left over. */
const TEMPORARY_PREFIX = '.tmp-';
/** Raised when images are made differently: those of an older version are then made anew. */
const IMAGE_VERSION = 2;
/** The one file that `plain` code becomes: a module whose entrypoint names only the object in it, or an executable. */
export const PLAIN_FILE = { python: 'main.py', executable: 'main' } as const;
/** Squashfs superblock: magic, and the size of the filesystem in bytes at offset 40 (kernel's squashfs_fs.h). */
const SQUASHFS_MAGIC = 'hsqs';
const SQUASHFS_SIZE_OFFSET = 40;
const SQUASHFS_SUPERBLOCK_BYTES = 96;
const MAX_PLAIN_BYTES = 10 * 1024 * 1024;

export interface CodeSource {
  fileHash: FileHash;
  encoding: CodeEncoding;
  /** Verified file in the content store. */
  path: string;
  /** What a plain file is; a Python module unless told. */
  plain?: keyof typeof PLAIN_FILE;
}

/** What, beside the hash of its code, an image depends on. */
export function formOf(encoding: CodeEncoding, plain: CodeSource['plain']): string {
  if (encoding === 'squashfs') return encoding;
  return `${plain === 'executable' ? `${encoding}-executable` : encoding}.v${IMAGE_VERSION}`;
}

/**
 * Read-only images of code, one for each file_hash and encoding, made once. Zip and plain code are read by memory-safe
 * code with limits and handed on as a tar; squashfs code is the image itself, and only a guest reads it.
 */
export class CodeImages {
  readonly #folder: string;
  readonly #limits: UnpackLimits;
  readonly #making = new Map<string, Promise<string>>();

  /** @param folder holds the images; the node's own */
  constructor(folder: string, limits: UnpackLimits = UNPACK_LIMITS) {
    this.#folder = folder;
    this.#limits = limits;
  }

  /**
   * The image's path. Callers at the same time share one making.
   * @throws VmletError `CODE_REFUSED`, `CODE_IMAGE_NO_SPACE`
   */
  async ensure(source: CodeSource): Promise<string> {
    if (source.encoding === 'squashfs') return checkSquashfs(source.path);
    const path = join(this.#folder, `${source.fileHash}.${formOf(source.encoding, source.plain)}.squashfs`);
    const making = this.#making.get(path) ?? this.#make(source, path).finally(() => this.#making.delete(path));
    this.#making.set(path, making);
    return making;
  }

  /** Removes what an interrupted making left. Called before the first `ensure` of a process. */
  async sweepTemporary(): Promise<void> {
    for (const name of await namesIn(this.#folder)) {
      if (name.startsWith(TEMPORARY_PREFIX)) await rm(join(this.#folder, name), { force: true });
    }
  }

  /**
   * Removes the images of files that are not wanted any more; those being made stay. A machine that has one keeps it.
   * With `dryRun` they are only counted.
   */
  async collect({
    isWanted,
    dryRun,
  }: {
    isWanted: (fileHash: FileHash) => Promise<boolean>;
    dryRun: boolean;
  }): Promise<{ count: number; bytes: number }> {
    const removed = { count: 0, bytes: 0 };
    for (const name of await namesIn(this.#folder)) {
      const fileHash = name.split('.', 1)[0] as FileHash;
      const path = join(this.#folder, name);
      if (name.startsWith(TEMPORARY_PREFIX) || (await isWanted(fileHash)) || this.#making.has(path)) continue;
      const { size } = await stat(path);
      if (!dryRun) await rm(path, { force: true });
      removed.count += 1;
      removed.bytes += size;
    }
    return removed;
  }

  async #make(source: CodeSource, path: string): Promise<string> {
    if (await exists(path)) return path;
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const temporary = join(this.#folder, `${TEMPORARY_PREFIX}${basename(path)}`);
    try {
      await rm(temporary, { force: true });
      await this.#tarToSquashfs(temporary, (tar) => this.#fill(tar, source));
      await chmod(temporary, 0o444);
      await failpoint('code.written');
      await rename(temporary, path);
      await syncDirectory(this.#folder);
      await failpoint('code.renamed');
      return path;
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async #fill(tar: Pack, source: CodeSource): Promise<void> {
    const { size } = await stat(source.path);
    if (source.encoding === 'zip') return zipToTar(source.path, tar, { limits: this.#limits, packedBytes: size });
    if (size > MAX_PLAIN_BYTES) refuse(`plain code of ${size} bytes`, `at most ${MAX_PLAIN_BYTES}`);
    const { plain = 'python' } = source;
    const mode = plain === 'executable' ? 0o755 : 0o644;
    tar.entry({ name: PLAIN_FILE[plain], mode, mtime: new Date(0) }, await readFile(source.path));
    tar.finalize();
  }

  async #tarToSquashfs(image: string, fill: (tar: Pack) => Promise<void>): Promise<void> {
    const tar = pack();
    // Uncompressed: unpacking costs the guest more than reading, and much more under emulation.
    const args = ['-', image, '-tar', '-quiet', '-no-progress', '-noappend', '-all-root', '-mkfs-time', '0'];
    // -root-time has no effect on a tar in squashfs-tools 4.5.
    args.push('-root-mode', '0755', '-all-time', '0');
    const making = run('mksquashfs', [...args, '-noI', '-noD', '-noF', '-noX', '-no-xattrs'], {
      input: Readable.from(tar),
    });
    // Where one side ends early the other one ends too: it has nothing more to read, or nowhere to write.
    const filling = fill(tar).catch((error: unknown) => {
      tar.destroy();
      throw error;
    });
    const [filled, made] = await Promise.allSettled([filling, making.finally(() => tar.destroy())]);
    const failure = made.status === 'rejected' ? imageFailure(made.reason) : undefined;
    // Whichever failed first is the reason; what was only cut by the other side is none.
    if (failure instanceof VmletError && failure.code === 'CODE_IMAGE_NO_SPACE') throw failure;
    const own = filled.status === 'rejected' ? filled.reason : undefined;
    const first = isCut(own) ? (failure ?? own) : (own ?? failure);
    if (first !== undefined) throw asVmletError(first);
  }
}

function imageFailure(error: unknown): unknown {
  // A command that did not start is the host's fault, not the code's.
  if (!(error instanceof CommandFailed) || error.cause !== undefined) return error;
  const full = /No space left|Disk quota/i.test(error.stderr);
  if (full) return new VmletError('CODE_IMAGE_NO_SPACE', { operands: { found: 'no space left' }, cause: error });
  return new VmletError('CODE_REFUSED', {
    operands: { found: error.message, expected: 'code that becomes an image' },
    cause: error,
    detail: error.stderr,
  });
}

/** Looks at the superblock's size only, so that a file cut short is told before a machine is booted for it. */
async function checkSquashfs(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const superblock = Buffer.alloc(SQUASHFS_SUPERBLOCK_BYTES);
    const { bytesRead } = await file.read(superblock, 0, superblock.length, 0);
    if (bytesRead < superblock.length || superblock.toString('latin1', 0, 4) !== SQUASHFS_MAGIC) {
      refuse('no squashfs superblock', 'a squashfs image');
    }
    const { size } = await file.stat();
    const usedBytes = superblock.readBigUInt64LE(SQUASHFS_SIZE_OFFSET);
    if (usedBytes > BigInt(size)) refuse(`a squashfs of ${usedBytes} bytes in a file of ${size}`, 'the whole image');
    return path;
  } finally {
    await file.close();
  }
}

/** None where the folder is not there yet. */
async function namesIn(folder: string): Promise<string[]> {
  return await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
