import { createHash, randomBytes } from 'node:crypto';
import type { FileHash } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import type { ContentStore } from './store.ts';

/** A store to be tested, made anew for each test. */
export interface StoreFixture extends AsyncDisposable {
  readonly store: ContentStore;
  /** Changes one byte of a stored file behind the store's back. */
  corrupt(fileHash: FileHash): Promise<void>;
  /** Everything the store keeps, temporary things included: names only. */
  list(): Promise<string[]>;
}

const MAX_BYTES = 1024 * 1024;
const CID = 'QmYULJoNGPDmoRq4WNWTDTUvJGJv1hosox8H6vVd1kCsY8' as FileHash;
/** Of "hello world" and a line break, as kubo names it. */
const HELLO_CID = 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o' as FileHash;
const HELLO_CID_V1 = 'bafybeicg2rebjoofv4kbyovkw7af3rpiitvnl6i7ckcywaq6xjcxnc2mby' as FileHash;

/** The SHA-256 of bytes, as a store names them. */
export const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex') as FileHash;

/** Bytes as a source of one chunk for each argument. */
export async function* sourceOf(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part;
}

/** What every content store must do. */
export function contentStoreCompliance(name: string, makeFixture: () => Promise<StoreFixture>): void {
  describe(`${name} as a content store`, () => {
    putting(makeFixture);
    staging(makeFixture);
    naming(makeFixture);
    collecting(makeFixture);
    reading(makeFixture);
    damaged(makeFixture);
  });
}

type MakeFixture = () => Promise<StoreFixture>;

const read = async (store: ContentStore, fileHash: FileHash) => {
  const { stream, sizeBytes } = await store.read(fileHash);
  const bytes = Buffer.concat(await Array.fromAsync<Buffer>(stream));
  expect(bytes.length).toBe(sizeBytes);
  return bytes;
};

function putting(makeFixture: MakeFixture): void {
  test('put: stores bytes under their hash', async () => {
    await using fixture = await makeFixture();
    const bytes = randomBytes(300_000);
    const parts = [bytes.subarray(0, 7), bytes.subarray(7, 200_000), bytes.subarray(200_000)];
    const stored = await fixture.store.put(sourceOf(...parts), { maxBytes: MAX_BYTES });
    expect(stored).toEqual({ fileHash: hashOf(bytes), sizeBytes: 300_000 });
    expect(await fixture.store.has(stored.fileHash)).toBe(true);
    expect(await fixture.store.sizeOf(stored.fileHash)).toBe(300_000);
    expect((await read(fixture.store, stored.fileHash)).equals(bytes)).toBe(true);
  });

  test('put: stores the empty file', async () => {
    await using fixture = await makeFixture();
    const { fileHash } = await fixture.store.put(sourceOf(), { maxBytes: 0 });
    expect(fileHash).toBe(hashOf(Buffer.alloc(0)));
    expect(await read(fixture.store, fileHash)).toHaveLength(0);
  });

  test('put: succeeds for all, when the same bytes come many times at once', async () => {
    await using fixture = await makeFixture();
    const bytes = randomBytes(100_000);
    const put = () => fixture.store.put(sourceOf(bytes), { maxBytes: MAX_BYTES, expected: hashOf(bytes) });
    const stored = await Promise.all(Array.from({ length: 10 }, put));
    expect(new Set(stored.map(({ fileHash }) => fileHash))).toEqual(new Set([hashOf(bytes)]));
    expect((await read(fixture.store, hashOf(bytes))).equals(bytes)).toBe(true);
    expect(await fixture.list()).toHaveLength(1);
  });

  test('put: leaves nothing, when the bytes are too many, of another hash, cut off or aborted', async () => {
    await using fixture = await makeFixture();
    const { store } = fixture;
    const before = await fixture.list();
    const abort = new AbortController();
    const cut = async function* () {
      yield Buffer.from('x');
      throw new Error('cut');
    };
    const hanging = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
      abort.abort(new Error('aborted'));
      await new Promise(() => {});
    };
    const expected = hashOf(Buffer.from('other'));
    await expect(store.put(sourceOf('12', '34'), { maxBytes: 3 })).rejects.toMatchObject({ code: 'CONTENT_TOO_LARGE' });
    await expect(store.put(sourceOf('x'), { maxBytes: 9, expected })).rejects.toMatchObject({
      code: 'CONTENT_HASH_MISMATCH',
    });
    await expect(store.put(cut(), { maxBytes: 9 })).rejects.toThrow('cut');
    await expect(store.put(hanging(), { maxBytes: 9, signal: abort.signal })).rejects.toThrow('aborted');
    await expect(
      store.put(sourceOf('x'), { maxBytes: 9, signal: AbortSignal.abort(new Error('early')) }),
    ).rejects.toThrow('early');
    expect(await fixture.list()).toEqual(before);
    expect(await store.has(expected)).toBe(false);
  });

  test('subscribe: is told of each stored file before put resolves, until it ends', async () => {
    await using fixture = await makeFixture();
    const told: number[] = [];
    const end = fixture.store.subscribe(async ({ sizeBytes }) => {
      await Promise.resolve();
      told.push(sizeBytes);
    });
    await fixture.store.put(sourceOf('four'), { maxBytes: 9 });
    expect(told).toEqual([4]);
    await fixture.store.put(sourceOf('four'), { maxBytes: 9 });
    await expect(fixture.store.put(sourceOf('x'), { maxBytes: 0 })).rejects.toThrow();
    expect(told).toEqual([4, 4]);
    end();
    await fixture.store.put(sourceOf('four'), { maxBytes: 9 });
    expect(told).toEqual([4, 4]);
  });
}

function staging(makeFixture: MakeFixture): void {
  test('stage: cannot be found, until it is committed', async () => {
    await using fixture = await makeFixture();
    const before = await fixture.list();
    const fileHash = hashOf(Buffer.from('staged'));
    {
      await using staged = await fixture.store.stage(sourceOf('staged'), { maxBytes: 9 });
      expect(staged).toMatchObject({ fileHash, sizeBytes: 6 });
      expect(await fixture.store.has(fileHash)).toBe(false);
    }
    expect(await fixture.list()).toEqual(before);
    await using staged = await fixture.store.stage(sourceOf('staged'), { maxBytes: 9 });
    expect(await staged.commit()).toEqual({ fileHash, sizeBytes: 6 });
    expect(await fixture.store.has(fileHash)).toBe(true);
  });

  test('remove: succeeds, also when there is nothing', async () => {
    await using fixture = await makeFixture();
    const { fileHash } = await fixture.store.put(sourceOf('x'), { maxBytes: 9 });
    expect(await fixture.store.remove(fileHash)).toBe(true);
    expect(await fixture.store.has(fileHash)).toBe(false);
    expect(await fixture.store.remove(fileHash)).toBe(false);
    await expect(fixture.store.verifiedPath(fileHash)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
  });
}

function naming(makeFixture: MakeFixture): void {
  test('dag: stores a file under its SHA-256 and both forms of its CID, and tells of each', async () => {
    await using fixture = await makeFixture();
    const { store } = fixture;
    const told: string[] = [];
    store.subscribe(({ fileHash }) => void told.push(fileHash));
    const stored = await store.put(sourceOf('hello world\n'), { maxBytes: 99, dag: true });
    expect(stored).toEqual({ fileHash: hashOf(Buffer.from('hello world\n')), sizeBytes: 12, cid: HELLO_CID });
    expect(told).toEqual([stored.fileHash, HELLO_CID, HELLO_CID_V1]);
    for (const name of [stored.fileHash, HELLO_CID, HELLO_CID_V1]) {
      expect((await read(store, name)).toString()).toBe('hello world\n');
      expect(await store.has(name)).toBe(true);
      expect(await store.verifiedPath(name)).toBe(await store.verifiedPath(stored.fileHash));
    }
    expect(await store.find(HELLO_CID_V1)).toEqual({ ...stored, kind: 'file' });
    expect(await Array.fromAsync(store.cids())).toEqual([{ cid: HELLO_CID, fileHash: stored.fileHash }]);
  });

  test('dag: takes a CID in place of a hash to be expected', async () => {
    await using fixture = await makeFixture();
    const { store } = fixture;
    const before = await fixture.list();
    const other = store.put(sourceOf('other'), { maxBytes: 99, expected: HELLO_CID_V1 });
    await expect(other).rejects.toMatchObject({ code: 'CONTENT_HASH_MISMATCH' });
    expect(await fixture.list()).toEqual(before);
    const { cid } = await store.put(sourceOf('hello ', 'world\n'), { maxBytes: 99, expected: HELLO_CID_V1 });
    expect(cid).toBe(HELLO_CID);
  });

  test('verified: stores bytes under a CID that the caller has verified, with what they are', async () => {
    await using fixture = await makeFixture();
    const verified = { cid: CID, kind: 'directory' } as const;
    const { fileHash } = await fixture.store.put(sourceOf('tar'), { maxBytes: 9, verified: () => verified });
    expect(await fixture.store.find(CID)).toEqual({ fileHash, sizeBytes: 3, ...verified });
  });

  test('read: by a CID, ends in an error before the last byte, when the file is damaged', async () => {
    await using fixture = await makeFixture();
    const { store } = fixture;
    const { fileHash } = await store.put(sourceOf('hello world\n'), { maxBytes: 99, dag: true });
    await fixture.corrupt(fileHash);
    await expect(read(store, HELLO_CID)).rejects.toMatchObject({ code: 'CONTENT_CORRUPT' });
    await expect(store.verifiedPath(HELLO_CID)).rejects.toMatchObject({ code: 'CONTENT_CORRUPT' });
    expect(await store.has(HELLO_CID)).toBe(false);
    await store.put(sourceOf('hello world\n'), { maxBytes: 99 });
    expect((await read(store, HELLO_CID)).toString()).toBe('hello world\n');
  });

  test('remove: by a CID, removes the bytes and the name', async () => {
    await using fixture = await makeFixture();
    const { store } = fixture;
    await store.put(sourceOf('hello world\n'), { maxBytes: 99, dag: true });
    expect(await store.remove(HELLO_CID_V1)).toBe(true);
    expect(await fixture.list()).toEqual([]);
    expect(await store.remove(HELLO_CID_V1)).toBe(false);
  });
}

function collecting(makeFixture: MakeFixture): void {
  const NEVER = Number.POSITIVE_INFINITY;
  const LONG_AGO = 0;

  test('collect: removes what nothing holds, and says how much that was', async () => {
    await using fixture = await makeFixture();
    const { store } = fixture;
    const before = Date.now();
    const { fileHash } = await store.put(sourceOf('four'), { maxBytes: 9, dag: true });
    const [kept, ...others] = await Array.fromAsync(store.files());
    expect([kept, others]).toMatchObject([{ fileHash, sizeBytes: 4 }, []]);
    expect(Math.abs((kept?.storedMs ?? 0) - before)).toBeLessThan(60_000);
    expect(await store.collect(fileHash, { idleSinceMs: NEVER, isHeld: () => true })).toBeUndefined();
    expect(await store.collect(fileHash, { idleSinceMs: NEVER, isHeld: () => false })).toBe(4);
    expect(await store.has(fileHash)).toBe(false);
    expect(await store.collect(fileHash, { idleSinceMs: NEVER, isHeld: () => false })).toBeUndefined();
    const [name] = await Array.fromAsync(store.cids());
    expect(await store.forgetCid(name?.cid ?? CID)).toBe(true);
    expect(await fixture.list()).toEqual([]);
  });

  test('collect: leaves what was asked for of late', async () => {
    await using fixture = await makeFixture();
    const { store } = fixture;
    const { fileHash } = await store.put(sourceOf('four'), { maxBytes: 9 });
    await store.sizeOf(fileHash);
    expect(await store.collect(fileHash, { idleSinceMs: LONG_AGO, isHeld: () => false })).toBeUndefined();
    expect(await store.has(fileHash)).toBe(true);
  });

  test('collect: leaves what is being stored again', async () => {
    await using fixture = await makeFixture();
    const { store } = fixture;
    const { fileHash } = await store.put(sourceOf('four'), { maxBytes: 9 });
    const collected: (number | undefined)[] = [];
    // Told within the commit, before whoever stores it has an answer.
    store.subscribe(async () => {
      collected.push(await store.collect(fileHash, { idleSinceMs: NEVER, isHeld: () => false }));
    });
    await store.put(sourceOf('four'), { maxBytes: 9 });
    expect(collected).toEqual([undefined]);
    expect(await store.has(fileHash)).toBe(true);
  });

  test('forgetCid: keeps the name of bytes that are there', async () => {
    await using fixture = await makeFixture();
    await fixture.store.put(sourceOf('hello world\n'), { maxBytes: 99, dag: true });
    expect(await fixture.store.forgetCid(HELLO_CID)).toBe(false);
    expect(await fixture.store.has(HELLO_CID)).toBe(true);
    expect(await fixture.store.forgetCid(CID)).toBe(false);
  });
}

function reading(makeFixture: MakeFixture): void {
  test.each([CID, '../../../etc/passwd' as FileHash, '' as FileHash, 'a'.repeat(64) as FileHash])(
    'read: finds nothing under %j',
    async (fileHash) => {
      await using fixture = await makeFixture();
      const { store } = fixture;
      expect(await store.has(fileHash)).toBe(false);
      expect(await store.sizeOf(fileHash)).toBeUndefined();
      expect(await store.remove(fileHash)).toBe(false);
      await expect(store.read(fileHash)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
      await expect(store.verifiedPath(fileHash)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    },
  );

  test('read: may be given up at once', async () => {
    await using fixture = await makeFixture();
    const { fileHash } = await fixture.store.put(sourceOf('x'), { maxBytes: 9 });
    for (let i = 0; i < 50; i += 1) (await fixture.store.read(fileHash)).stream.destroy();
    expect((await read(fixture.store, fileHash)).toString()).toBe('x');
  });

  test('verifiedPath: gives one path, to many at once', async () => {
    await using fixture = await makeFixture();
    const { fileHash } = await fixture.store.put(sourceOf(randomBytes(500_000)), { maxBytes: MAX_BYTES });
    const paths = await Promise.all(Array.from({ length: 8 }, () => fixture.store.verifiedPath(fileHash)));
    expect(new Set(paths).size).toBe(1);
    expect(await fixture.store.verifiedPath(fileHash)).toBe(paths[0]);
    await expect(
      fixture.store.verifiedPath(fileHash, { signal: AbortSignal.abort(new Error('early')) }),
    ).rejects.toThrow('early');
  });
}

function damaged(makeFixture: MakeFixture): void {
  test('verifiedPath: refuses and removes a damaged file, which can be stored again', async () => {
    await using fixture = await makeFixture();
    const { store } = fixture;
    const bytes = randomBytes(200_000);
    const { fileHash } = await store.put(sourceOf(bytes), { maxBytes: MAX_BYTES });
    await store.verifiedPath(fileHash);
    await fixture.corrupt(fileHash);
    await expect(store.verifiedPath(fileHash)).rejects.toMatchObject({ code: 'CONTENT_CORRUPT' });
    expect(await store.has(fileHash)).toBe(false);
    await expect(store.verifiedPath(fileHash)).rejects.toMatchObject({ code: 'CONTENT_NOT_FOUND' });
    await store.put(sourceOf(bytes), { maxBytes: MAX_BYTES });
    expect(await store.verifiedPath(fileHash)).toEqual(expect.any(String));
  });

  test('read: ends in an error before the last byte, when the file is damaged', async () => {
    await using fixture = await makeFixture();
    const { fileHash } = await fixture.store.put(sourceOf(randomBytes(200_000)), { maxBytes: MAX_BYTES });
    await fixture.corrupt(fileHash);
    const { stream } = await fixture.store.read(fileHash);
    let receivedBytes = 0;
    const whole = (async () => {
      for await (const chunk of stream) receivedBytes += chunk.length;
    })();
    await expect(whole).rejects.toMatchObject({ code: 'CONTENT_CORRUPT' });
    expect(receivedBytes).toBeLessThan(200_000);
  });

  test('put: heals a damaged file', async () => {
    await using fixture = await makeFixture();
    const { fileHash } = await fixture.store.put(sourceOf('whole'), { maxBytes: 9 });
    await fixture.corrupt(fileHash);
    await fixture.store.put(sourceOf('whole'), { maxBytes: 9 });
    expect((await read(fixture.store, fileHash)).toString()).toBe('whole');
    expect(await fixture.store.verifiedPath(fileHash)).toEqual(expect.any(String));
  });
}
