import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, readlink } from 'node:fs/promises';

/** Links that are followed on the way to one file, as Linux has it. */
const MAX_LINKS = 40;

/**
 * A tree that somebody else made: paths are looked up in it as if it were the root, so that no link leads out of it.
 * Paths are bytes, written as Latin-1, for a name need not be UTF-8.
 */
export class Tree {
  readonly #root: string;

  /** @param root its folder, without a slash at the end */
  constructor(root: string) {
    this.#root = Buffer.from(root).toString('latin1');
  }

  /** Opens a regular file to read; undefined where there is none, or something else. */
  async open(path: string): Promise<FileHandle | undefined> {
    const real = await this.resolve(path);
    if (real === undefined || !(await lstatOrNone(this.onDisk(real)))?.isFile()) return undefined;
    return await open(this.onDisk(real), constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => undefined);
  }

  /** The first bytes of a regular file, as UTF-8; empty where there is none. */
  async read(path: string, maxBytes: number): Promise<string> {
    await using file = await this.open(path);
    if (file === undefined) return '';
    const size = Math.min((await file.stat()).size, maxBytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, 0);
    return buffer.toString('utf8', 0, bytesRead);
  }

  /** Names in a folder, sorted; none where there is no folder. */
  async list(path: string): Promise<string[]> {
    const real = await this.resolve(path);
    if (real === undefined || !(await lstatOrNone(this.onDisk(real)))?.isDirectory()) return [];
    return (await readdir(this.onDisk(real), { encoding: 'latin1' })).sort();
  }

  /** Where a path leads to, without a link in it; undefined where a part is missing, or links go round. */
  async resolve(path: string): Promise<string | undefined> {
    let links = 0;
    let at = '';
    const ahead = path.split('/').reverse();
    while (ahead.length > 0) {
      const part = ahead.pop();
      if (part === undefined || part === '' || part === '.') continue;
      if (part === '..') {
        at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
        continue;
      }
      const next = `${at}/${part}`;
      const found = await lstatOrNone(this.onDisk(next));
      if (found === undefined) return undefined;
      if (!found.isSymbolicLink()) {
        at = next;
        continue;
      }
      links += 1;
      if (links > MAX_LINKS) return undefined;
      const target = await readlink(this.onDisk(next), { encoding: 'latin1' });
      if (target.startsWith('/')) at = '';
      ahead.push(...target.split('/').reverse());
    }
    return at === '' ? '/' : at;
  }

  /** A path that has no link in it, as system calls take it. */
  onDisk(real: string): Buffer {
    return Buffer.from(this.#root + (real === '/' ? '' : real), 'latin1');
  }
}

async function lstatOrNone(path: Buffer) {
  return await lstat(path).catch(() => undefined);
}
