import { quoted, refused } from './errors.ts';
import { IMPORT_LIMITS, type ImportLimits } from './limits.ts';
import type { TarEntry, TarKind } from './tar/reader.ts';

/** Who may do what with a file or folder. */
interface Attributes {
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  xattrs: ReadonlyMap<string, Buffer>;
}

/** All that is no folder. Names that are hard links of each other share one. */
export interface Inode extends Attributes {
  kind: Exclude<TarKind, 'folder' | 'link'>;
  size: number;
  linkname: string;
  devmajor: number;
  devminor: number;
  /** Which layer it came with, and as which entry of it. */
  layer: number;
  index: number;
}

/** A folder, with what is in it by name. */
export interface Folder extends Attributes {
  children: Map<string, Node>;
}

/** What has a name, and the layer that spoke of it last. */
export type Node = { layer: number } & ({ folder: Folder } | { inode: Inode });

const NONE: ReadonlyMap<string, Buffer> = new Map();

/**
 * A root filesystem in memory, without the content of its files, made of layers from the lowest up as container engines
 * do. Links on the way to an entry are followed in here, never on a disk; nothing leads out.
 */
export class Tree {
  readonly root: Folder = implicitFolder();
  readonly #operand: string;
  readonly #limits: ImportLimits;
  #entries = 0;
  #namesBytes = 0;

  constructor(operand: string, limits: ImportLimits = IMPORT_LIMITS) {
    this.#operand = operand;
    this.#limits = limits;
  }

  /** Takes in an entry of a layer. @throws ImportError for one that fits nowhere */
  add(entry: TarEntry, { layer, index }: { layer: number; index: number }): void {
    const names = this.#namesOf(entry.name);
    this.#count(entry.name, entry.name.length + entry.linkname.length + bytesOf(entry.xattrs));
    const { mode, uid, gid, mtime, xattrs } = entry;
    const attributes = { mode, uid, gid, mtime, xattrs };
    const name = names.pop();
    if (name === undefined) {
      if (entry.kind === 'folder') Object.assign(this.root, attributes);
      return;
    }
    const parent = this.#walk(names, { layer, entry: entry.name });
    if (parent === undefined) return;
    if (entry.kind === 'folder') {
      const there = parent.children.get(name);
      if (there !== undefined && 'folder' in there) {
        Object.assign(there.folder, attributes);
        there.layer = layer;
      } else parent.children.set(name, { layer, folder: { children: new Map(), ...attributes } });
      return;
    }
    if (entry.kind === 'link') {
      parent.children.set(name, { layer, inode: this.#linkTarget(entry) });
      return;
    }
    const { kind, size, linkname, devmajor, devminor } = entry;
    if (kind === 'symlink') this.#checkLinkname(entry);
    parent.children.set(name, {
      layer,
      inode: { kind, size, linkname, devmajor, devminor, layer, index, ...attributes },
    });
  }

  /** Sees to it that there is a folder, for what a machine writes into it at its start. */
  ensureFolder(name: string): void {
    if (!this.root.children.has(name)) this.root.children.set(name, { layer: 0, folder: implicitFolder() });
  }

  /** Takes away what layers below have of a name, or of all names in a folder. */
  hide(path: string, { layer, all }: { layer: number; all: boolean }): void {
    const names = this.#namesOf(path);
    const name = all ? undefined : names.pop();
    const parent = this.#walk(names, { entry: path });
    if (parent === undefined) return;
    if (all) hideBelow(parent, layer);
    else if (name !== undefined) hideName(parent, name, layer);
  }

  /**
   * Where a path leads, all links followed: what a program in the tree would open. Undefined for what is no file.
   * @throws ImportError for links that lead to themselves
   */
  find(path: string): string | undefined {
    let wanted = partsOf(path);
    for (let hops = 0; hops <= this.#limits.linkHops; hops++) {
      const way = this.#way(wanted.slice(0, -1), { entry: path });
      const name = wanted.at(-1) ?? '';
      const there = way?.at(-1)?.folder.children.get(name);
      if (way === undefined || there === undefined || 'folder' in there) return undefined;
      const above = way.slice(1).map((step) => step.name);
      if (there.inode.kind === 'file') return [...above, name].join('/');
      if (there.inode.kind !== 'symlink') return undefined;
      const target = partsOf(there.inode.linkname);
      wanted = there.inode.linkname.startsWith('/') ? target : [...above, ...target];
    }
    return undefined;
  }

  /** All that is held in memory is counted, what is replaced again too. */
  #count(path: string, bytes: number): void {
    const { entries, namesBytes } = this.#limits;
    this.#entries += 1;
    this.#namesBytes += bytes;
    if (this.#entries > entries) throw this.#refused(path, `is one entry more than ${entries}`, `at most ${entries}`);
    if (this.#namesBytes > namesBytes)
      throw this.#refused(path, `comes after ${namesBytes} bytes of names and attributes`, `at most ${namesBytes}`);
  }

  /** The parts of a path. @throws ImportError for one that leads up, or is too long */
  #namesOf(path: string): string[] {
    const names = path.split('/').filter((name) => name !== '' && name !== '.');
    const { pathBytes, nameBytes, depth } = this.#limits;
    if (names.includes('..')) throw this.#refused(path, 'leads up by ".."', 'a path inside the tree');
    if (path.includes('\0')) throw this.#refused(path, 'has a zero byte in its name', 'a name without');
    if (path.length > pathBytes || names.some((name) => name.length > nameBytes))
      throw this.#refused(path, `has a name of ${path.length} bytes`, `at most ${pathBytes}, and ${nameBytes} a part`);
    if (names.length > depth) throw this.#refused(path, `is ${names.length} folders deep`, `at most ${depth}`);
    return names;
  }

  #checkLinkname({ name, linkname }: TarEntry): void {
    if (linkname !== '' && linkname.length < this.#limits.pathBytes && !linkname.includes('\0')) return;
    const most = this.#limits.pathBytes - 1;
    throw this.#refused(name, `is a link to ${linkname.length} bytes`, `1 to ${most}`);
  }

  /**
   * The folder of a path, through links as a running system would follow them. For a layer what is missing of it is
   * made, as engines do for archives that name no folders; else it is undefined.
   */
  #walk(names: readonly string[], options: { layer?: number; entry: string }): Folder | undefined {
    return this.#way(names, options)?.at(-1)?.folder;
  }

  #way(names: readonly string[], { layer, entry }: { layer?: number; entry: string }): Step[] | undefined {
    const way: Step[] = [{ name: '', folder: this.root }];
    const left = names.toReversed();
    let hops = 0;
    for (let name = left.pop(); name !== undefined; name = left.pop()) {
      const here = way.at(-1)?.folder ?? this.root;
      if (name === '..') {
        if (way.length > 1) way.pop();
        continue;
      }
      const there = here.children.get(name);
      if (there === undefined) {
        if (layer === undefined) return undefined;
        const folder = implicitFolder();
        this.#count(entry, name.length);
        here.children.set(name, { layer, folder });
        way.push({ name, folder });
      } else if ('folder' in there) way.push({ name, folder: there.folder });
      else if (there.inode.kind === 'symlink') {
        if (++hops > this.#limits.linkHops)
          throw this.#refused(entry, 'is below a link that leads to itself', 'a folder');
        if (there.inode.linkname.startsWith('/')) way.length = 1;
        left.push(...partsOf(there.inode.linkname).toReversed());
      } else if (layer === undefined) return undefined;
      else throw this.#refused(entry, `is below ${quoted(name)}, which is no folder`, 'a folder');
      if (way.length > this.#limits.depth)
        throw this.#refused(entry, 'is too many folders deep', `at most ${this.#limits.depth}`);
    }
    return way;
  }

  #linkTarget({ name, linkname }: TarEntry): Inode {
    const names = this.#namesOf(linkname);
    const last = names.pop();
    const there = last === undefined ? undefined : this.#walk(names, { entry: name })?.children.get(last);
    if (there !== undefined && 'inode' in there) return there.inode;
    const state = there === undefined ? 'which is not there' : 'a folder';
    throw this.#refused(name, `is a hard link to ${quoted(linkname)}, ${state}`, 'a file that came before it');
  }

  #refused(path: string, found: string, expected: string) {
    return refused(this.#operand, `${quoted(path)} ${found}`, expected);
  }
}

/** On the way to an entry. */
interface Step {
  name: string;
  folder: Folder;
}

function bytesOf(xattrs: ReadonlyMap<string, Buffer>): number {
  let bytes = 0;
  for (const [name, value] of xattrs) bytes += name.length + value.length;
  return bytes;
}

function partsOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

/** One that no entry speaks of. */
function implicitFolder(): Folder {
  return { children: new Map(), mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: NONE };
}

/** What the layer itself has put there stays, as do the folders above it. */
function hideName(parent: Folder, name: string, layer: number): void {
  const there = parent.children.get(name);
  if (there === undefined) return;
  if ('folder' in there) {
    hideBelow(there.folder, layer);
    if (there.folder.children.size > 0) return;
  }
  if (there.layer < layer) parent.children.delete(name);
}

function hideBelow(folder: Folder, layer: number): void {
  for (const name of [...folder.children.keys()]) hideName(folder, name, layer);
}
