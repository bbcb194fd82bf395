import { refused } from '../errors.ts';
import { parseMoreSparse, type SparsePiece } from './header.ts';
import { piecesOf } from './pax.ts';

/** Where the stored bytes of a sparse file go, and how long it is with its holes. */
export interface SparseLayout {
  pieces: SparsePiece[];
  realSize: number;
}

/** Gives the blocks in which more of a layout stands. */
interface LayoutReader {
  operand: string;
  block: () => Promise<Buffer>;
}

/** More pieces cost memory, and no filesystem makes so many out of one file. */
const MAX_PIECES = 100_000;
const ZEROS_BYTES = 64 * 1024;

/** GNU tar's oldest form: pieces in the header, and in blocks behind it. @throws ImportError */
export async function sparseOfHeader(
  { pieces, hasMore, realSize }: { pieces: SparsePiece[]; hasMore: boolean; realSize: number },
  { operand, block }: LayoutReader,
): Promise<SparseLayout> {
  const all = [...pieces];
  for (let isMore = hasMore; isMore; ) {
    const next = parseMoreSparse(await block());
    all.push(...next.pieces);
    if (all.length > MAX_PIECES) throw tooMany(operand);
    isMore = next.hasMore;
  }
  return { pieces: all, realSize };
}

/** GNU tar's newest form: how many pieces, and then each, a number a line, in the first blocks of the content. */
export async function sparseInData(realSize: number, { operand, block }: LayoutReader): Promise<SparseLayout> {
  let text = (await block()).toString('latin1');
  const count = () => Number(/^(\d{1,6})\n/.exec(text)?.[1] ?? Number.NaN);
  const pieces = count();
  if (Number.isNaN(pieces)) throw refused(operand, 'a sparse file without its pieces', 'how many it has');
  if (pieces > MAX_PIECES) throw tooMany(operand);
  const lines = pieces * 2 + 1;
  let found = linesIn(text);
  while (found < lines) {
    const more = (await block()).toString('latin1');
    found += linesIn(more);
    text += more;
  }
  return { pieces: piecesOf(text.split('\n').slice(1, lines), operand), realSize };
}

function linesIn(text: string): number {
  return text.split('\n').length - 1;
}

function tooMany(operand: string) {
  return refused(operand, 'a sparse file in too many pieces', `at most ${MAX_PIECES}`);
}

/** @throws ImportError unless the pieces are in order, within the file, and as long as what is stored */
export function checkPieces(
  { pieces, realSize }: SparseLayout,
  { storedBytes, operand }: { storedBytes: number; operand: string },
): void {
  let end = 0;
  let stored = 0;
  for (const { offset, bytes } of pieces) {
    if (offset < end) throw refused(operand, 'a sparse file whose pieces overlap', 'pieces in order');
    end = offset + bytes;
    stored += bytes;
  }
  if (end > realSize || stored !== storedBytes)
    throw refused(operand, `a sparse file of ${storedBytes} bytes in pieces of ${stored}`, 'pieces that fit');
}

/** The content with its holes filled by zeros. */
export async function* withHoles(stored: AsyncIterable<Buffer>, layout: SparseLayout): AsyncGenerator<Buffer> {
  const { pieces, realSize } = layout;
  let position = 0;
  let index = 0;
  let left = pieces[0]?.bytes ?? 0;
  for await (const chunk of stored) {
    for (let rest = chunk; rest.length > 0; ) {
      while (left === 0) left = pieces[++index]?.bytes ?? Number.POSITIVE_INFINITY;
      const piece = pieces[index] ?? { offset: position, bytes: rest.length };
      const from = piece.offset + piece.bytes - left;
      yield* zeros(from - position);
      const part = rest.subarray(0, left);
      yield part;
      position = from + part.length;
      left -= part.length;
      rest = rest.subarray(part.length);
    }
  }
  yield* zeros(realSize - position);
}

function* zeros(bytes: number): Generator<Buffer> {
  const block = Buffer.alloc(Math.min(bytes, ZEROS_BYTES));
  for (let left = bytes; left > 0; left -= Math.min(left, block.length)) yield block.subarray(0, left);
}
