import { quoted, refused } from './errors.ts';
import { type Layer, openLayer } from './layer.ts';
import { IMPORT_LIMITS, type ImportLimits } from './limits.ts';
import { type WrittenEntry, writeTar } from './tar/writer.ts';
import { type Folder, type Inode, Tree } from './tree.ts';

/** Marks of a layer: a name that is gone, and a folder whose content below is gone (OCI image-spec, layer.md). */
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** Of AUFS's own: Docker leaves them out too. */
const AUFS = '.wh..wh.';
/** As many users as a user namespace of the builder has. */
const MAX_ID = 65_535;
/** Who nobody is, in every Linux. */
const NOBODY_ID = 65_534;
/** What an image may carry into a machine. Others belong to the machine that it came from. */
const XATTRS = /^(user\..+|security\.capability)$/;

export interface FoldOptions {
  /** Whether names that begin with `.wh.` are marks. They are names as any other in a tar that is no layer. */
  whiteouts: boolean;
  limits?: ImportLimits;
  signal?: AbortSignal | undefined;
  onProgress?: ((detail: string) => void) | undefined;
}

/** Layers that were read once: what comes of them, and what they were. */
export interface Folded {
  tree: Tree;
  /** `sha256:` and the digest of each layer's tar. */
  diffIds: string[];
  /** The latest time of a file. */
  newestMtime: number;
}

/** Reads all layers, the lowest first, and makes one tree of them; content is only looked at. @throws ImportError */
export async function readLayers(layers: readonly Layer[], options: FoldOptions): Promise<Folded> {
  const { limits = IMPORT_LIMITS, whiteouts, signal } = options;
  if (layers.length > limits.layers) throw refused('an image', `${layers.length} layers`, `at most ${limits.layers}`);
  const tree = new Tree('a layer', limits);
  const diffIds: string[] = [];
  const seen = { bytes: 0, newestMtime: 0 };
  for (const [layer, source] of layers.entries()) {
    options.onProgress?.(`layer ${layer + 1} of ${layers.length}`);
    await using open = await openLayer(source, limits);
    let index = 0;
    for (let entry = await open.reader.next(); entry !== undefined; entry = await open.reader.next(), index++) {
      if (index % ENTRIES_BETWEEN_LOOKS === 0) signal?.throwIfAborted();
      seen.bytes += entry.size;
      if (seen.bytes > limits.treeBytes) {
        const found = `more than ${limits.treeBytes} bytes of files, at ${quoted(entry.name)}`;
        throw refused(source.operand, found, 'less');
      }
      if (whiteouts && takeMark(tree, entry.name, layer)) continue;
      tree.add(entry, { layer, index });
      seen.newestMtime = Math.max(seen.newestMtime, entry.mtime);
    }
    diffIds.push(await open.finish());
  }
  return { tree, diffIds, newestMtime: seen.newestMtime };
}

const ENTRIES_BETWEEN_LOOKS = 256;

/** @returns whether it is one */
function takeMark(tree: Tree, path: string, layer: number): boolean {
  const trimmed = path.replace(/\/+$/, '');
  const slash = trimmed.lastIndexOf('/');
  const name = trimmed.slice(slash + 1);
  if (!name.startsWith(WHITEOUT)) return trimmed.split('/').some((part) => part.startsWith(AUFS));
  const folder = trimmed.slice(0, slash + 1);
  if (name === OPAQUE) tree.hide(folder, { layer, all: true });
  else if (!name.startsWith(AUFS)) tree.hide(`${folder}${name.slice(WHITEOUT.length)}`, { layer, all: false });
  return true;
}

/** What of an image cannot come along, how often. */
export interface LeftOut {
  devices: number;
  attributes: number;
  owners: number;
}

/**
 * One tar of a folded tree, in an order that is safe and always the same: folders, files layer by layer, then links and
 * pipes, then hard links. So no name in it is ever below a link. The layers are read again, and must be what they were.
 * @param leftOut is counted up
 */
export function foldedTar(
  { tree, diffIds }: Folded,
  { layers, leftOut, options }: { layers: readonly Layer[]; leftOut: LeftOut; options: FoldOptions },
): AsyncGenerator<Buffer> {
  const plan = planOf(tree.root);
  return writeTar(entries());

  async function* entries() {
    for (const [path, folder] of plan.folders)
      yield { entry: written({ ...folder, ...PLAIN, kind: 'folder', size: 0 }, path) };
    for (const [layer, source] of layers.entries()) {
      const wanted = plan.files.get(layer);
      if (wanted === undefined) continue;
      options.onProgress?.(`layer ${layer + 1} of ${layers.length}`);
      await using open = await openLayer({ ...source, diffId: diffIds[layer] }, options.limits);
      let index = 0;
      for (let entry = await open.reader.next(); entry !== undefined; entry = await open.reader.next(), index++) {
        const path = wanted.get(index);
        if (path !== undefined)
          yield { entry: written({ ...entry, linkname: '' }, path), content: open.reader.content() };
      }
      await open.finish();
    }
    for (const [path, inode] of plan.others) {
      if (inode.kind === 'character' || inode.kind === 'block') leftOut.devices += 1;
      else yield { entry: written({ ...inode, size: 0 }, path) };
    }
    for (const [path, target] of plan.links)
      yield { entry: written({ ...PLAIN, ...NO_ATTRIBUTES, kind: 'link', size: 0, linkname: target }, path) };
  }

  function written(entry: Omit<WrittenEntry, 'name'>, name: string): WrittenEntry {
    const xattrs = [...entry.xattrs].filter(([key]) => XATTRS.test(key));
    leftOut.attributes += entry.xattrs.size - xattrs.length;
    const isForeign = entry.uid > MAX_ID || entry.gid > MAX_ID;
    if (isForeign) leftOut.owners += 1;
    const within = (id: number) => (id > MAX_ID ? NOBODY_ID : id);
    const { kind, size, mtime, linkname, devmajor, devminor } = entry;
    // Who is somebody else now must not lend out who they are.
    const mode = isForeign && kind === 'file' ? entry.mode & 0o1777 : entry.mode;
    const owner = { uid: within(entry.uid), gid: within(entry.gid) };
    return { kind, name, mode, ...owner, size, mtime, linkname, devmajor, devminor, xattrs: new Map(xattrs) };
  }
}

const PLAIN = { linkname: '', devmajor: 0, devminor: 0 };
const NO_ATTRIBUTES = { mode: 0o644, uid: 0, gid: 0, mtime: 0, xattrs: new Map<string, Buffer>() };

interface Plan {
  folders: [string, Folder][];
  /** Layer to index of an entry to where it goes. */
  files: Map<number, Map<number, string>>;
  /** Links, pipes, devices. */
  others: [string, Inode][];
  /** Further names of what has one. */
  links: [string, string][];
}

/** In the order of bytes in names, so that nothing depends on how the layers came by them. */
function planOf(root: Folder): Plan {
  const plan: Plan = { folders: [['./', root]], files: new Map(), others: [], links: [] };
  const first = new Map<Inode, string>();
  visit(root, '');
  return plan;

  function visit(folder: Folder, above: string): void {
    for (const name of [...folder.children.keys()].sort(byBytes)) {
      const node = folder.children.get(name);
      if (node === undefined) continue;
      const path = `${above}${name}`;
      if ('folder' in node) {
        plan.folders.push([path, node.folder]);
        visit(node.folder, `${path}/`);
      } else place(path, node.inode);
    }
  }

  function place(path: string, inode: Inode): void {
    const other = first.get(inode);
    if (other !== undefined) {
      if (inode.kind !== 'character' && inode.kind !== 'block') plan.links.push([path, other]);
      return;
    }
    first.set(inode, path);
    if (inode.kind !== 'file') {
      plan.others.push([path, inode]);
      return;
    }
    const ofLayer = plan.files.get(inode.layer) ?? new Map<number, string>();
    ofLayer.set(inode.index, path);
    plan.files.set(inode.layer, ofLayer);
  }
}

/** Names are latin1, a character a byte. */
function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
