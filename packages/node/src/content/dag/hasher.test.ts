import { randomBytes } from 'node:crypto';
import { BlackHoleBlockstore } from 'blockstore-core/black-hole';
import * as fc from 'fast-check';
import { importer } from 'ipfs-unixfs-importer';
import { fixedSize } from 'ipfs-unixfs-importer/chunker';
import { balanced } from 'ipfs-unixfs-importer/layout';
import { expect, test } from 'vitest';
import { CHUNK_BYTES, DagHasher, LINKS_PER_NODE, type TreeShape } from './hasher.ts';

const KUBO = { chunkBytes: CHUNK_BYTES, linksPerNode: LINKS_PER_NODE };

/** What ipfs-unixfs-importer says, told to do as kubo does by default. */
async function oracle(source: Iterable<Uint8Array>, { chunkBytes, linksPerNode }: TreeShape = KUBO): Promise<string> {
  const options = {
    cidVersion: 0,
    rawLeaves: false,
    leafType: 'file',
    reduceSingleLeafToSelf: true,
    chunker: fixedSize({ chunkSize: chunkBytes }),
    layout: balanced({ maxChildrenPerNode: linksPerNode }),
  } as const;
  for await (const { cid } of importer([{ content: source }], new BlackHoleBlockstore(), options)) return String(cid);
  throw new Error('Cannot compare: the importer gave nothing, expected one root');
}

async function ours(source: Iterable<Uint8Array>, shape: TreeShape = KUBO): Promise<string> {
  const hasher = new DagHasher(shape);
  for (const bytes of source) await hasher.update(bytes);
  return await hasher.digest();
}

/** Bytes that need no memory: one block, again and again. */
function* repeated(block: Buffer, sizeBytes: number): Generator<Uint8Array> {
  for (let left = sizeBytes; left > 0; left -= block.length) yield block.subarray(0, Math.min(left, block.length));
}

test.each([
  ['', 'QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH'],
  ['hello world\n', 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o'],
])('DagHasher: names %j as kubo does', async (text, cid) => {
  expect(await ours([Buffer.from(text)])).toBe(cid);
});

const NODE_BYTES = LINKS_PER_NODE * CHUNK_BYTES;

test.each([
  0,
  1,
  127,
  128,
  16_383,
  CHUNK_BYTES - 15,
  CHUNK_BYTES - 1,
  CHUNK_BYTES,
  CHUNK_BYTES + 1,
  2 * CHUNK_BYTES,
  7 * CHUNK_BYTES + 4711,
  NODE_BYTES - 1,
  NODE_BYTES,
  NODE_BYTES + 1,
  2 * NODE_BYTES,
  2 * NODE_BYTES + CHUNK_BYTES + 1,
])('DagHasher: names %i bytes as the importer does, however they are cut', async (sizeBytes) => {
  const block = randomBytes(65_536);
  const expected = await oracle(repeated(block, sizeBytes));
  expect(await ours(repeated(block, sizeBytes))).toBe(expected);
  if (sizeBytes > NODE_BYTES) return;
  const whole = Buffer.concat([...repeated(block, sizeBytes)]);
  expect(await ours([whole])).toBe(expected);
  expect(await ours(repeated(Buffer.concat([block, block]).subarray(0, 65_536), sizeBytes))).toBe(expected);
});

test('DagHasher: names trees of any shape as the importer does', async () => {
  const shape = fc.record({ chunkBytes: fc.integer({ min: 1, max: 9 }), linksPerNode: fc.integer({ min: 2, max: 5 }) });
  const parts = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(parts, shape, async (source, one) => {
      expect(await ours(source, one)).toBe(await oracle(source, one));
    }),
    { numRuns: 300 },
  );
});
