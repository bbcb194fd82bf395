import { BLOCK_SIZE } from './header.ts';
import { paddingOf, type TarEntry, type TarKind } from './reader.ts';

/** What a header is written of. */
export type WrittenEntry = Omit<TarEntry, 'offset' | 'storedBytes'>;

const TYPES: Readonly<Record<TarKind, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  character: '3',
  block: '4',
  folder: '5',
  fifo: '6',
};
const NAME_SIZE = 100;
/** Behind the last entry. */
const END = Buffer.alloc(2 * BLOCK_SIZE);

/** Writes a tar as GNU tar reads it: long names by its own headers, which keep their bytes, and xattrs by pax. */
export async function* writeTar(
  entries: AsyncIterable<{ entry: WrittenEntry; content?: AsyncIterable<Buffer> | undefined }>,
): AsyncGenerator<Buffer> {
  for await (const { entry, content } of entries) {
    yield encodeHeaders(entry);
    if (content === undefined) continue;
    yield* content;
    const padding = paddingOf(entry.size);
    if (padding > 0) yield Buffer.alloc(padding);
  }
  yield END;
}

function encodeHeaders(entry: WrittenEntry): Buffer {
  const blocks: Buffer[] = [];
  if (entry.xattrs.size > 0) blocks.push(...extra('x', xattrRecords(entry.xattrs)));
  if (entry.linkname.length > NAME_SIZE) blocks.push(...extra('K', Buffer.from(`${entry.linkname}\0`, 'latin1')));
  if (entry.name.length > NAME_SIZE) blocks.push(...extra('L', Buffer.from(`${entry.name}\0`, 'latin1')));
  blocks.push(header(TYPES[entry.kind], entry));
  return Buffer.concat(blocks);
}

/** Sorted, so that the same attributes are the same bytes. */
function xattrRecords(xattrs: ReadonlyMap<string, Buffer>): Buffer {
  const sorted = [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.concat(
    sorted.map(([name, value]) => {
      const record = Buffer.concat([Buffer.from(` SCHILY.xattr.${name}=`, 'latin1'), value, Buffer.from('\n')]);
      // The length counts its own digits.
      let length = record.length + 1;
      while (length !== record.length + String(length).length) length = record.length + String(length).length;
      return Buffer.concat([Buffer.from(String(length)), record]);
    }),
  );
}

function extra(type: string, data: Buffer): Buffer[] {
  const plain = { mode: 0o644, uid: 0, gid: 0, mtime: 0, linkname: '', devmajor: 0, devminor: 0 };
  const name = type === 'x' ? './PaxHeaders' : '././@LongLink';
  return [header(type, { ...plain, name, size: data.length }), data, Buffer.alloc(paddingOf(data.length))];
}

function header(type: string, entry: Omit<WrittenEntry, 'kind' | 'xattrs'>): Buffer {
  const block = Buffer.alloc(BLOCK_SIZE);
  block.write(entry.name.slice(0, NAME_SIZE), 0, 'latin1');
  putNumber(block, entry.mode, { at: 100, length: 8 });
  putNumber(block, entry.uid, { at: 108, length: 8 });
  putNumber(block, entry.gid, { at: 116, length: 8 });
  putNumber(block, entry.size, { at: 124, length: 12 });
  putNumber(block, entry.mtime, { at: 136, length: 12 });
  block.write(' '.repeat(8), 148);
  block.write(type, 156, 'latin1');
  block.write(entry.linkname.slice(0, NAME_SIZE), 157, 'latin1');
  block.write('ustar  \0', 257, 'latin1');
  if (type === '3' || type === '4') {
    putNumber(block, entry.devmajor, { at: 329, length: 8 });
    putNumber(block, entry.devminor, { at: 337, length: 8 });
  }
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** Octal digits, and where they do not fit, a binary number. */
function putNumber(block: Buffer, value: number, { at, length }: { at: number; length: number }): void {
  const digits = value.toString(8);
  if (digits.length < length) {
    block.write(`${digits.padStart(length - 1, '0')}\0`, at, 'latin1');
    return;
  }
  block[at] = 0x80;
  for (let next = at + length - 1, left = value; next > at; next--, left = Math.floor(left / 256))
    block[next] = left % 256;
}
