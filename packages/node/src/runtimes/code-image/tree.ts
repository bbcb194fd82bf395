import { posix } from 'node:path';
import { VmletError } from '../../errors.ts';
import type { UnpackLimits } from './limits.ts';

type Kind = 'file' | 'directory' | 'link';

/** Refuses an archive; `found` and `expected` go into the error's words. */
export function refuse(found: string, expected: string, cause?: unknown): never {
  throw new VmletError('CODE_REFUSED', { operands: { found, expected }, ...(cause === undefined ? {} : { cause }) });
}

/**
 * The tree that an archive describes, checked entry by entry as it is read: each path is inside, is there once, and
 * lies below folders only. Nothing of it is ever a path of the host.
 */
export class ArchiveTree {
  readonly #limits: UnpackLimits;
  readonly #kinds = new Map<string, Kind>();
  #bytes = 0;

  constructor(limits: UnpackLimits) {
    this.#limits = limits;
  }

  /**
   * Adds an entry.
   * @returns its clean path, and the folders above it that no entry has named yet, outermost first; no path for a
   *   folder that is known already
   */
  add(rawPath: string, kind: Kind): { path?: string; parents: string[] } {
    const path = this.#cleanPath(rawPath);
    const known = this.#kinds.get(path);
    if (known === 'directory' && kind === 'directory') return { parents: [] };
    if (known) refuse(`"${path}" twice`, 'each path once');
    const parents = this.#addParents(path);
    this.#set(path, kind);
    return { path, parents };
  }

  /** Counts unpacked bytes. `packedBytes` is the size of the whole archive. */
  count(bytes: number, packedBytes: number): void {
    this.#bytes += bytes;
    const { maxBytes, maxRatio, ratioFreeBytes } = this.#limits;
    if (this.#bytes > maxBytes) refuse(`over ${maxBytes} bytes unpacked`, `at most ${maxBytes}`);
    if (this.#bytes > ratioFreeBytes && this.#bytes > packedBytes * maxRatio) {
      refuse(`over ${maxRatio} bytes unpacked for each byte packed`, `at most ${maxRatio} (a zip bomb)`);
    }
  }

  /** Checks where a symbolic link leads: somewhere inside the tree, as a relative path. */
  checkLink(path: string, target: string): void {
    const resolved = posix.normalize(posix.join(posix.dirname(path), target));
    const inside = target !== '' && !target.startsWith('/') && !target.includes('\0') && !/^\.\.(\/|$)/.test(resolved);
    if (!inside) refuse(`the link "${path}" to "${target}"`, 'links that stay inside the code');
  }

  #cleanPath(raw: string): string {
    const path = raw.replace(/\/+$/, '');
    const parts = path.split('/');
    if (Buffer.byteLength(path) > this.#limits.maxPathBytes || parts.length > this.#limits.maxDepth) {
      refuse(`a path of ${Buffer.byteLength(path)} bytes and ${parts.length} parts`, 'shorter paths');
    }
    const bad = path === '' || path.startsWith('/') || /[\0\\]/.test(path);
    if (bad || parts.some((part) => part === '..' || part === '.' || part === '')) {
      refuse(`the path "${raw}"`, 'relative paths without "..", "." or "\\"');
    }
    return path;
  }

  #addParents(path: string): string[] {
    const parent = posix.dirname(path);
    if (parent === '.') return [];
    const kind = this.#kinds.get(parent);
    if (kind === 'directory') return [];
    if (kind) refuse(`"${path}" below the ${kind} "${parent}"`, 'a folder there');
    const above = this.#addParents(parent);
    this.#set(parent, 'directory');
    return [...above, parent];
  }

  #set(path: string, kind: Kind): void {
    this.#kinds.set(path, kind);
    const { maxEntries } = this.#limits;
    if (this.#kinds.size > maxEntries) refuse(`over ${maxEntries} entries`, `at most ${maxEntries}`);
  }
}
