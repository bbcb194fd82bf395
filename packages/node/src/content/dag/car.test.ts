import { randomBytes } from 'node:crypto';
import { mkdtempDisposable, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CarWriter } from '@ipld/car/writer';
import { encode } from '@ipld/dag-pb';
import { MemoryBlockstore } from 'blockstore-core/memory';
import * as fc from 'fast-check';
import { type ImporterOptions, importer } from 'ipfs-unixfs-importer';
import { fixedSize } from 'ipfs-unixfs-importer/chunker';
import { CID } from 'multiformats/cid';
import { identity } from 'multiformats/hashes/identity';
import { sha256 } from 'multiformats/hashes/sha2';
import { extract } from 'tar-stream';
import { expect, test } from 'vitest';
import { VmletError } from '../../errors.ts';
import { sourceOf } from '../compliance.ts';
import { openFileStore } from '../index.ts';
import { CarIndex } from './car.ts';
import { refuseCar } from './refuse-car.ts';
import { UnixFsTree } from './tree.ts';

const MAX_BYTES = 8 * 1024 * 1024;
const FUZZED = process.env.VMLET_TEST_ALL ? 100_000 : 3000;

async function openStore() {
  const dir = await mkdtempDisposable(join(tmpdir(), 'vmlet-test-'));
  return {
    store: await openFileStore(dir.path),
    list: async () => (await readdir(dir.path, { recursive: true, withFileTypes: true })).filter((one) => one.isFile()),
    [Symbol.asyncDispose]: () => dir.remove(),
  };
}

interface Tree {
  root: CID;
  blocks: { cid: CID; bytes: Uint8Array }[];
}

/** Files as kubo would lay them out, or as the options say. */
async function treeOf(files: Record<string, Uint8Array>, options: ImporterOptions = {}): Promise<Tree> {
  const blockstore = new MemoryBlockstore();
  const candidates = Object.entries(files).map(([path, content]) => (path === '' ? { content } : { path, content }));
  let root: CID | undefined;
  for await (const { cid } of importer(candidates, blockstore, { wrapWithDirectory: !('' in files), ...options }))
    root = cid;
  const blocks: Tree['blocks'] = [];
  for await (const { cid, bytes } of blockstore.getAll({})) {
    blocks.push({ cid, bytes: Buffer.concat(await Array.fromAsync(bytes as AsyncIterable<Uint8Array>)) });
  }
  if (root === undefined) throw new Error('Cannot test: the importer gave no root');
  return { root, blocks };
}

async function carOf({ root, blocks }: Tree, roots: CID[] = [root]): Promise<Buffer> {
  const { writer, out } = CarWriter.create(roots);
  const bytes = Array.fromAsync(out);
  for (const block of blocks) await writer.put(block);
  await writer.close();
  return Buffer.concat(await bytes);
}

const node = async (data: number[], links: { Name?: string; Hash: CID }[] = []) => {
  const bytes = encode({ Data: Uint8Array.from(data), Links: links.map((link) => ({ Name: '', Tsize: 1, ...link })) });
  return { cid: CID.createV1(0x70, await sha256.digest(bytes)), bytes };
};
const DIRECTORY = [0x08, 0x01];
const FILE = [0x08, 0x02];

async function untar(tar: AsyncIterable<Uint8Array>): Promise<Record<string, string>> {
  const unpacker = extract();
  const files: Record<string, string> = {};
  const reading = (async () => {
    for await (const entry of unpacker) {
      const { name, mode = 0, mtime } = entry.header;
      expect([mode & 0o777, mtime?.getTime()]).toEqual([name.endsWith('/') ? 0o755 : 0o644, 0]);
      files[name] = Buffer.concat(await Array.fromAsync(entry as AsyncIterable<Buffer>)).toString('latin1');
    }
  })();
  for await (const bytes of tar) unpacker.write(Buffer.from(bytes));
  unpacker.end(Buffer.alloc(0));
  await reading;
  return files;
}

const SHAPES: [string, ImporterOptions][] = [
  ['as kubo does by default', { cidVersion: 0, rawLeaves: false }],
  ['with raw leaves and CIDv1', { cidVersion: 1, rawLeaves: true }],
  ['in small chunks', { cidVersion: 1, rawLeaves: true, chunker: fixedSize({ chunkSize: 1000 }) }],
];

test.each(SHAPES)('stageCar: stores a file laid out %s by its root, as its plain bytes', async (_how, options) => {
  await using opened = await openStore();
  const { store } = opened;
  const bytes = randomBytes(600_000);
  const tree = await treeOf({ '': bytes }, options);
  await using staged = await store.stageCar(sourceOf(await carOf(tree)), { maxBytes: MAX_BYTES });
  await staged.commit();
  for (const name of [tree.root.toString(), tree.root.toV1().toString()]) {
    const { stream } = await store.read(name as never);
    expect(Buffer.concat(await Array.fromAsync<Buffer>(stream)).equals(bytes)).toBe(true);
    expect(await store.find(name as never)).toMatchObject({ kind: 'file', sizeBytes: bytes.length });
  }
  expect(await opened.list()).toHaveLength(2);
});

test('stageCar: stores a directory as a tar, the same for the same tree', async () => {
  await using opened = await openStore();
  const { store } = opened;
  const large = randomBytes(700_000).toString('latin1');
  const files = { 'index.html': 'hello', 'a/b/large': large, 'a/empty': '' };
  const bytes = Object.fromEntries(Object.entries(files).map(([path, text]) => [path, Buffer.from(text, 'latin1')]));
  const tree = await treeOf(bytes, { cidVersion: 1, rawLeaves: true });
  const car = await carOf(tree);
  const hashes = new Set<string>();
  for (const parts of [[car], [car.subarray(0, 70), car.subarray(70, 300_000), car.subarray(300_000)]]) {
    await using staged = await store.stageCar(sourceOf(...parts), { maxBytes: MAX_BYTES });
    hashes.add((await staged.commit()).fileHash);
  }
  expect(hashes.size).toBe(1);
  expect(await store.find(tree.root.toString() as never)).toMatchObject({ kind: 'directory' });
  const { stream } = await store.read(tree.root.toString() as never);
  const root = tree.root.toString();
  const inside = { '': '', '/a': '', '/a/b': '' };
  const folders = Object.fromEntries(Object.keys(inside).map((path) => [`${root}${path}/`, '']));
  const plain = Object.fromEntries(Object.entries(files).map(([path, text]) => [`${root}/${path}`, text]));
  expect(await untar(stream)).toEqual({ ...folders, ...plain });
});

test('stageCar: reads a directory that is split over nodes', async () => {
  await using opened = await openStore();
  const files = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [`file-${index}`, Buffer.from(`text ${index}`)]),
  );
  const tree = await treeOf(files, { cidVersion: 1, rawLeaves: true, shardSplitThresholdBytes: 100 });
  await using staged = await opened.store.stageCar(sourceOf(await carOf(tree)), { maxBytes: MAX_BYTES });
  await staged.commit();
  const { stream } = await opened.store.read(tree.root.toString() as never);
  const found = await untar(stream);
  expect(Object.keys(found)).toHaveLength(301);
  expect(found[`${tree.root}/file-7`]).toBe('text 7');
});

test('stageCar: reads a tree as deep as it is large', async () => {
  await using opened = await openStore();
  const blocks = [await node([...FILE, 0x12, 1, 0x78])];
  for (let depth = 0; depth < 5000; depth += 1) blocks.push(await node(FILE, [{ Hash: blocks.at(-1)!.cid }]));
  const car = await carOf({ root: blocks.at(-1)!.cid, blocks });
  await using staged = await opened.store.stageCar(sourceOf(car), { maxBytes: MAX_BYTES });
  expect(staged.sizeBytes).toBe(1);
});

async function refused(): Promise<[string, RegExp, Buffer][]> {
  const tree = await treeOf({ '': randomBytes(300_000) }, { cidVersion: 1, rawLeaves: true });
  const car = await carOf(tree);
  const damaged = Buffer.from(car);
  damaged[car.length - 5] = (damaged[car.length - 5] ?? 0) ^ 1;
  const leaf = await node([...FILE, 0x12, 1, 0x78]);
  const one = async (root: Tree['blocks'][number], ...others: Tree['blocks']) =>
    await carOf({ root: root.cid, blocks: [root, ...others] });
  const named = async (Name: string) => await one(await node(DIRECTORY, [{ Name, Hash: leaf.cid }]), leaf);
  const twice = await node(
    DIRECTORY,
    [
      { Name: 'a', Hash: leaf.cid },
      { Name: 'a', Hash: leaf.cid },
    ].slice(0, 2),
  );
  const symlink = await node([0x08, 0x04, 0x12, 1, 0x78]);
  const liar = await node([...FILE, 0x18, 5, 0x20, 1], [{ Hash: leaf.cid }]);
  const cid = CID.createV1(0x55, identity.digest(Buffer.from('x')));
  const unnamed = { cid: CID.createV1(0x55, await sha256.digest(Buffer.from('x'))), bytes: Buffer.from('x') };
  // Thirty blocks that link twice to the one before: 2^30 leaves.
  const bomb = [leaf];
  const empty = await node(FILE);
  bomb[0] = empty;
  for (let level = 0; level < 30; level += 1) {
    const { cid: Hash } = bomb.at(-1)!;
    bomb.push(await node(FILE, [{ Hash }, { Hash }]));
  }
  return [
    ['nothing', /empty body/, Buffer.alloc(0)],
    ['text', /./, Buffer.from('no CAR at all, but text')],
    ['an end within a block', /an end within/, car.subarray(0, -1)],
    ['a damaged block', /does not hash/, damaged],
    ['a missing block', /no block/, await carOf({ root: tree.root, blocks: tree.blocks.slice(0, -1) })],
    ['no root', /0 roots/, await carOf(tree, [])],
    ['two roots', /2 roots/, await carOf(tree, [tree.root, tree.root])],
    ['a root that no message can name', /the root/, await one(unnamed)],
    ['a root that is its own hash', /the root/, await carOf({ root: cid, blocks: [] })],
    ['an endless length', /length/, Buffer.alloc(40, 0xff)],
    ['a block of a gigabyte', /a section of/, Buffer.concat([car, Buffer.from([0x80, 0x80, 0x80, 0x80, 0x04, 1])])],
    [
      'a header of four megabytes',
      /./,
      Buffer.concat([Buffer.from([0x80, 0x80, 0x80, 0x02]), Buffer.alloc(4_194_304)]),
    ],
    ['version 2', /version 1|header/, Buffer.from('0aa16776657273696f6e02', 'hex')],
    ['a name that leads out', /plain names/, await named('..')],
    ['a name with a slash', /plain names/, await named('../../etc/passwd')],
    ['no name', /plain names/, await named('')],
    ['a name twice', /twice/, await one(twice, leaf)],
    ['a link', /type 4/, await one(await node(DIRECTORY, [{ Name: 'a', Hash: symlink.cid }]), symlink)],
    ['a false size', /true sizes/, await one(await node(DIRECTORY, [{ Name: 'a', Hash: liar.cid }]), liar, leaf)],
    ['a bomb', /without end/, await carOf({ root: bomb.at(-1)!.cid, blocks: bomb })],
    ['no UnixFS', /no UnixFS|without data/, await one(await node([0xff, 0xff]))],
  ];
}

test('stageCar: refuses in words what is no whole tree of files, and leaves nothing', async () => {
  await using opened = await openStore();
  for (const [what, words, car] of await refused()) {
    const staging = opened.store.stageCar(sourceOf(car), { maxBytes: MAX_BYTES });
    await expect(staging, what).rejects.toMatchObject({ code: 'CAR_REFUSED', message: expect.stringMatching(words) });
    expect(await opened.list(), what).toEqual([]);
  }
});

test('stageCar: refuses more bytes than allowed, in the CAR and out of it, and another root than expected', async () => {
  await using opened = await openStore();
  const { store } = opened;
  const tree = await treeOf({ '': randomBytes(10_000) }, { cidVersion: 1, rawLeaves: false });
  const car = await carOf(tree);
  const tooLarge = { code: 'CONTENT_TOO_LARGE' };
  await expect(store.stageCar(sourceOf(car), { maxBytes: 10_000 })).rejects.toMatchObject(tooLarge);
  const leaf = await node([...FILE, 0x12, 0x80, 0x08, ...Buffer.alloc(1024)]);
  const root = await node(
    FILE,
    Array.from({ length: 20 }, () => ({ Hash: leaf.cid })),
  );
  const small = await carOf({ root: root.cid, blocks: [root, leaf] });
  await expect(store.stageCar(sourceOf(small), { maxBytes: 20_000 })).rejects.toMatchObject(tooLarge);
  const expected = 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o' as never;
  const other = store.stageCar(sourceOf(car), { maxBytes: MAX_BYTES, expected });
  await expect(other).rejects.toMatchObject({ code: 'CONTENT_HASH_MISMATCH' });
  expect(await opened.list()).toEqual([]);
});

/** As stageCar does it, without a disk. */
async function readCar(bytes: Buffer): Promise<void> {
  const index = new CarIndex();
  for await (const _section of index.learn(sourceOf(bytes)));
  const getBlock = async (cid: CID) => {
    const { offset, length } = index.placeOf(cid) ?? refuseCar('no such block', 'it');
    return bytes.subarray(offset, offset + length);
  };
  const tree = await new UnixFsTree(getBlock, { carBytes: bytes.length }).open(index.root);
  for await (const _bytes of tree.bytes);
}

test('CarIndex and UnixFsTree: whatever bytes come are a tree or are refused in words', async () => {
  const tree = await treeOf({ 'a/b': Buffer.from('text'), c: randomBytes(2000) }, { cidVersion: 1, rawLeaves: true });
  const whole = await carOf(tree);
  const change = fc.record({
    at: fc.integer({ min: 0, max: whole.length - 1 }),
    to: fc.uint8Array({ maxLength: 8 }),
    drop: fc.integer({ min: 0, max: 8 }),
  });
  const changed = fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
    let bytes: Buffer = whole;
    for (const { at, to, drop } of changes)
      bytes = Buffer.concat([bytes.subarray(0, at), to, bytes.subarray(at + drop)]);
    return bytes;
  });
  const any = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  await fc.assert(
    fc.asyncProperty(fc.oneof({ weight: 9, arbitrary: changed }, { weight: 1, arbitrary: any }), async (bytes) => {
      try {
        await readCar(bytes);
      } catch (error) {
        if (!(error instanceof VmletError)) throw error;
        expect(error.code).toBe('CAR_REFUSED');
      }
    }),
    { numRuns: FUZZED },
  );
});
