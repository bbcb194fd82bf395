import { open, readFile } from 'node:fs/promises';
import type { SourceFile, SourceFolder } from '../pack/walk.ts';

/** A source file longer than this is not looked into. */
const MAX_SOURCE_BYTES = 1024 * 1024;
/** A program longer than this is judged by its headers alone. */
const MAX_PROGRAM_BYTES = 64 * 1024 * 1024;
/** Enough for the headers of an executable, and for the first line of a script. */
const HEAD_BYTES = 64 * 1024;

/** The files of a folder by their paths, to be looked into; nothing of them is run. */
export class Sources {
  readonly files: readonly SourceFile[];
  readonly #byPath: ReadonlyMap<string, SourceFile>;

  constructor({ files }: Pick<SourceFolder, 'files'>) {
    this.files = files;
    this.#byPath = new Map(files.map((file) => [file.path, file]));
  }

  get(path: string): SourceFile | undefined {
    return this.#byPath.get(path);
  }

  has(path: string): boolean {
    return this.#byPath.has(path);
  }

  /** Whether some file lies below the folder. */
  hasFolder(path: string): boolean {
    return this.files.some((file) => file.path.startsWith(`${path}/`));
  }

  /** Files at the top of the folder. */
  get top(): SourceFile[] {
    return this.files.filter((file) => !file.path.includes('/'));
  }

  /** With line ends of one kind; empty for what is not there or too long to be somebody's source. */
  async text(path: string): Promise<string> {
    const file = this.get(path);
    if (file === undefined || file.sizeBytes > MAX_SOURCE_BYTES) return '';
    return (await readFile(file.absolutePath, 'utf8')).replaceAll('\r\n', '\n');
  }

  /** All of a program; empty for what is not there or longer than programs are looked into. */
  async bytes(path: string): Promise<Buffer> {
    const file = this.get(path);
    const isLong = file === undefined || file.sizeBytes > MAX_PROGRAM_BYTES;
    return isLong ? Buffer.alloc(0) : await readFile(file.absolutePath);
  }

  /** The first bytes of a file; none for what is not there. */
  async head(path: string): Promise<Buffer> {
    const file = this.get(path);
    if (file === undefined) return Buffer.alloc(0);
    await using handle = await open(file.absolutePath, 'r');
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  }
}
