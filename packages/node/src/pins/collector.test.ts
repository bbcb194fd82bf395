import { mkdir, mkdtempDisposable, readdir, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileHash } from '@vmlet/messages';
import { expect, test } from 'vitest';
import { openFileStore, type StageOptions } from '../content/index.ts';
import { openLedger } from '../ledger/index.ts';
import { type Author, bytesOf, fileHashOf, makeAuthor } from '../ledger/testing.ts';
import { CodeImages } from '../runtimes/index.ts';
import { openDatabase } from '../store/index.ts';
import { Collector, FilePins, UnheldMarks } from './index.ts';

const HOUR_MS = 3_600_000;
const CID = 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o' as FileHash;
const CID_V1 = 'bafybeicg2rebjoofv4kbyovkw7af3rpiitvnl6i7ckcywaq6xjcxnc2mby';
const HELLO = 'hello world\n';

async function fixture() {
  await using stack = new AsyncDisposableStack();
  const dir = stack.adopt(await mkdtempDisposable(join(tmpdir(), 'vmlet-test-')), (one) => one.remove());
  const database = stack.adopt(openDatabase(join(dir.path, 'node.db')), (one) => {
    one.close();
  });
  const content = await openFileStore(join(dir.path, 'content'));
  const onError = (error: unknown) => {
    throw error;
  };
  const ledger = stack.use(await openLedger({ database, content, onListenerError: onError }));
  const code = join(dir.path, 'code');
  await mkdir(code);
  const used = new Set<string>();
  const clock = { ms: Date.now() };
  const collector = stack.use(
    new Collector({
      ...{ content, ledger, onError },
      pins: new FilePins(database),
      marks: new UnheldMarks(database),
      codeImages: new CodeImages(code),
      usedFiles: () => used,
      now: () => clock.ms,
      idleMs: 0,
    }),
  );
  const author: Author = makeAuthor();
  const held = stack.move();
  return {
    ...{ database, content, ledger, collector, used, clock, author, code },
    put: async (text: string, options: Partial<StageOptions> = {}) =>
      (await content.put(bytesOf(text), { maxBytes: 999, ...options })).fileHash,
    /** Collects, and again after the grace. */
    async collectTwice() {
      await collector.run();
      clock.ms += 24 * HOUR_MS + 1000;
      return await collector.run();
    },
    images: () => readdir(code),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

test('Collector: removes an upload that no message names, a day after it noticed, and not before', async () => {
  await using f = await fixture();
  const fileHash = await f.put('orphan');
  expect(await f.collector.run()).toMatchObject({ files: 0, waitingFiles: 1, waitingBytes: 6, heldFiles: 0 });
  f.clock.ms += 23 * HOUR_MS;
  expect(await f.collector.run()).toMatchObject({ files: 0, waitingFiles: 1 });
  f.clock.ms += HOUR_MS + 1000;
  expect(await f.collector.run({ dryRun: true })).toMatchObject({ dryRun: true, files: 1, freedBytes: 6 });
  expect(await f.content.has(fileHash)).toBe(true);
  expect(await f.collector.run()).toMatchObject({ dryRun: false, files: 1, freedBytes: 6, waitingFiles: 0 });
  expect(await f.content.has(fileHash)).toBe(false);
});

test('Collector: changes nothing when it only looks', async () => {
  await using f = await fixture();
  await f.put('orphan');
  expect(await f.collector.run({ dryRun: true })).toMatchObject({ waitingFiles: 1 });
  f.clock.ms += 25 * HOUR_MS;
  // It was not marked by the look before.
  expect(await f.collector.run()).toMatchObject({ files: 0, waitingFiles: 1 });
});

test('Collector: keeps what a STORE names, by hash or by either form of a CID, and lets it go a day after FORGET', async () => {
  await using f = await fixture();
  const byHash = await f.put('text');
  const byCid = await f.put(HELLO, { dag: true });
  const other = await f.put('other', { dag: true });
  const { cid: otherCid = '' } = (await f.content.put(bytesOf('other'), { maxBytes: 9, dag: true })) ?? {};
  const stores = [
    await f.author.store(byHash),
    await f.author.store(CID_V1, { item_type: 'ipfs' }),
    await f.author.store(otherCid, { item_type: 'ipfs' }),
  ];
  for (const store of stores) expect((await f.ledger.accept(store)).status).toBe('processed');
  expect(await f.collectTwice()).toMatchObject({ files: 0, heldFiles: 3, waitingFiles: 0 });
  await f.ledger.accept(await f.author.forget(...stores.map((store) => store.item_hash)));
  expect(await f.collector.run()).toMatchObject({ files: 0, waitingFiles: 3 });
  for (const fileHash of [byHash, byCid, other]) expect(await f.content.has(fileHash)).toBe(true);
  f.clock.ms += 25 * HOUR_MS;
  expect(await f.collector.run()).toMatchObject({ files: 3, heldFiles: 0 });
  expect(await f.content.has(CID)).toBe(false);
  expect(await Array.fromAsync(f.content.cids())).toEqual([]);
});

test('Collector: keeps a file whose second STORE is in force, and begins the grace anew when it is held in between', async () => {
  await using f = await fixture();
  const fileHash = await f.put('text');
  const [one, two] = [await f.author.store(fileHash), await makeAuthor().store(fileHash)];
  for (const store of [one, two]) await f.ledger.accept(store);
  await f.ledger.accept(await f.author.forget(one.item_hash));
  expect(await f.collectTwice()).toMatchObject({ files: 0, heldFiles: 1 });
});

test('Collector: forgets that a file was unheld, when something holds it again', async () => {
  await using f = await fixture();
  const fileHash = await f.put('text');
  await f.collector.run();
  f.clock.ms += 25 * HOUR_MS;
  const store = await f.author.store(fileHash);
  await f.ledger.accept(store);
  await f.collector.run();
  await f.ledger.accept(await f.author.forget(store.item_hash));
  expect(await f.collector.run()).toMatchObject({ files: 0, waitingFiles: 1 });
});

test('Collector: keeps the content of messages, of those that wait as well', async () => {
  await using f = await fixture();
  const content = { address: f.author.signer.address, time: 1_700_000_000, type: 'test', content: 'x' };
  const kept = async (type: 'POST' | 'STORE', text: string) => {
    const fileHash = await f.put(text);
    const part = { chain: f.author.signer.chain, sender: f.author.signer.address, type, item_hash: fileHash };
    const signature = await f.author.signer.sign(part as never);
    return await f.ledger.accept({ ...part, time: 1_700_000_000, item_type: 'storage', signature });
  };
  expect((await kept('POST', JSON.stringify(content))).status).toBe('processed');
  const waiting = { address: content.address, time: content.time, item_type: 'storage', item_hash: fileHashOf('-') };
  expect((await kept('STORE', JSON.stringify(waiting))).status).toBe('pending');
  expect(await f.collectTwice()).toMatchObject({ files: 0, heldFiles: 2 });
});

test('Collector: keeps what programs in force are made of, whatever else is known', async () => {
  await using f = await fixture();
  f.used.add(await f.put('runtime'));
  expect(await f.collectTwice()).toMatchObject({ files: 0, heldFiles: 1 });
});

test('Collector: gives a message that is being removed up with its file, not before', async () => {
  await using f = await fixture();
  const fileHash = await f.put('text');
  const store = await f.author.store(fileHash);
  await f.ledger.accept(store);
  await f.ledger.startRemoving(store.item_hash, { reason: 'not paid' });
  await f.collector.run();
  expect(f.ledger.get(store.item_hash)?.status).toBe('removing');
  f.clock.ms += 25 * HOUR_MS;
  expect(await f.collector.run()).toMatchObject({ files: 1 });
  expect(f.ledger.get(store.item_hash)?.status).toBe('removed');
  expect(await f.content.has(fileHash)).toBe(false);
});

test('Collector: keeps what a program uses, of messages that are being removed too', async () => {
  await using f = await fixture();
  const [code, runtime] = [await f.author.store(await f.put('code')), await f.author.store(await f.put('runtime'))];
  const program = await f.author.program({ code: code.item_hash, runtime: runtime.item_hash });
  for (const message of [code, runtime, program]) expect((await f.ledger.accept(message)).status).toBe('processed');
  for (const message of [code, runtime]) await f.ledger.startRemoving(message.item_hash, { reason: 'not paid' });
  expect(await f.collectTwice()).toMatchObject({ files: 0, heldFiles: 2 });
  expect(f.ledger.get(code.item_hash)?.status).toBe('removing');
});

test('Collector: removes code images of files that are gone, and of no others', async () => {
  await using f = await fixture();
  const there = await f.put('code');
  const gone = fileHashOf('gone');
  const inUse = fileHashOf('in use');
  f.used.add(inUse);
  for (const name of [there, gone, inUse]) await writeFile(join(f.code, `${name}.zip.v2.squashfs`), 'image');
  expect(await f.collector.run({ dryRun: true })).toMatchObject({ codeImages: 1, freedBytes: 5 });
  expect(await f.images()).toHaveLength(3);
  expect(await f.collector.run()).toMatchObject({ codeImages: 1 });
  expect((await f.images()).sort()).toEqual([there, inUse].map((name) => `${name}.zip.v2.squashfs`).sort());
});

test('Collector: keeps an orphan that is stored again, for another day', async () => {
  await using f = await fixture();
  const fileHash = await f.put('orphan');
  await f.collector.run();
  f.clock.ms += 25 * HOUR_MS;
  // As if it had been stored at that time.
  await utimes(await f.content.verifiedPath(fileHash), f.clock.ms / 1000, f.clock.ms / 1000);
  expect(await f.collector.run()).toMatchObject({ files: 0, waitingFiles: 1 });
});

test('Collector: does one collection after the other, and ends with its node', async () => {
  await using f = await fixture();
  await f.put('orphan');
  const runs = await Promise.all([f.collector.run(), f.collector.run(), f.collector.run()]);
  expect(runs.map(({ waitingFiles }) => waitingFiles)).toEqual([1, 1, 1]);
  f.collector.start();
  await f.collector[Symbol.asyncDispose]();
  await expect(f.collector.run()).rejects.toMatchObject({ name: 'AbortError' });
});
