import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { foldedTar, readLayers } from './fold.ts';
import type { Layer } from './layer.ts';
import { IMPORT_LIMITS, type ImportLimits } from './limits.ts';
import { type TarEntry, TarReader } from './tar/reader.ts';
import { type WrittenEntry, writeTar } from './tar/writer.ts';

/** An entry of a tar in a test: a name, and what of it matters. */
export type TestEntry = Partial<WrittenEntry> & { name: string; content?: string | Buffer };

/** A tar of these entries; a name with a slash at its end is a folder. */
export function tarOf(entries: readonly TestEntry[]): Promise<Buffer> {
  async function* written() {
    for (const { content = '', ...entry } of entries) {
      const isFolder = entry.name.endsWith('/');
      const kind = entry.kind ?? (isFolder ? 'folder' : 'file');
      const plain = { uid: 0, gid: 0, mtime: 1, linkname: '', devmajor: 0, devminor: 0, xattrs: new Map() };
      const size = kind === 'file' ? Buffer.byteLength(content) : 0;
      const whole = { ...plain, mode: isFolder ? 0o755 : 0o644, ...entry, kind, size };
      yield { entry: whole, content: kind === 'file' ? Readable.from([Buffer.from(content)]) : undefined };
    }
  }
  return buffer(Readable.from(writeTar(written())));
}

/** Bytes as a layer. */
export function layerOf(bytes: Buffer, operand = 'layer 1'): Layer {
  return { operand, open: () => Readable.from(bytes.length === 0 ? [] : [bytes]) };
}

/** Of the content of a file in a test. */
const MAX_TEXT_CHARS = 4_000_000;

/** All entries of a tar with their content, as text; not all of it where it is long. @throws ImportError */
export async function listTar(bytes: AsyncIterable<Buffer>, limits: ImportLimits = IMPORT_LIMITS) {
  const reader = new TarReader(bytes, { operand: 'the tar', limits });
  const found: { entry: TarEntry; content: string }[] = [];
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    let content = '';
    if (entry.kind === 'file') {
      for await (const chunk of reader.content()) {
        content += chunk.toString();
        if (content.length > MAX_TEXT_CHARS) break;
      }
    }
    found.push({ entry, content });
  }
  return found;
}

/**
 * What comes of layers, the lowest first: a name for each entry, with its content, where it leads, or `/` for a folder.
 * Hard links lead to `= NAME`.
 */
export async function fold(
  layers: readonly (readonly TestEntry[])[],
  { whiteouts = true, limits = {} }: { whiteouts?: boolean; limits?: Partial<ImportLimits> } = {},
): Promise<Record<string, string>> {
  const bytes = await Promise.all(layers.map(tarOf));
  const sources = bytes.map((tar, index) => layerOf(tar, `layer ${index + 1}`));
  const options = { whiteouts, limits: { ...IMPORT_LIMITS, ...limits } };
  const folded = await readLayers(sources, options);
  const leftOut = { devices: 0, attributes: 0, owners: 0 };
  const listed = await listTar(foldedTar(folded, { layers: sources, leftOut, options }));
  return Object.fromEntries(listed.map(({ entry, content }) => [entry.name, shown(entry, content)]));
}

function shown({ kind, linkname }: TarEntry, content: string): string {
  if (kind === 'folder') return '/';
  if (kind === 'symlink') return `-> ${linkname}`;
  return kind === 'link' ? `= ${linkname}` : content || kind;
}
