import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { CarWriter } from '@ipld/car/writer';
import type { Envelope } from '@vmlet/messages';
import { MemoryBlockstore } from 'blockstore-core/memory';
import * as fc from 'fast-check';
import { importer } from 'ipfs-unixfs-importer';
import type { CID } from 'multiformats/cid';
import { describe, expect, test } from 'vitest';
import { hashOf } from '../content/compliance.ts';
import { fileHashOf, makeAuthor } from '../ledger/testing.ts';
import { type ApiFixture, multipart, startApi } from './testing.ts';

const HELLO = 'hello world\n';
const HELLO_CID = 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o';
const HELLO_CID_V1 = 'bafybeicg2rebjoofv4kbyovkw7af3rpiitvnl6i7ckcywaq6xjcxnc2mby';
const FUZZED = process.env.VMLET_TEST_ALL ? 100_000 : 600;

const metadata = (message: Envelope) => ({ name: 'metadata', bytes: JSON.stringify({ message, sync: true }) });
const file = (bytes: string | Buffer, form: object = {}) => ({ name: 'file', bytes, ...form });
const blob = { disposition: '; filename="a.txt"', type: 'text/plain' };
const get = (fixture: ApiFixture, path: string) => fixture.call('GET', `/api/v0/${path}`);

/** A directory of one file, with raw leaves, as clients make CARs of sites. */
async function siteCar(): Promise<{ root: string; car: Buffer }> {
  const blockstore = new MemoryBlockstore();
  const site = [{ path: 'index.html', content: Buffer.from('<p>hello') }];
  let root: CID | undefined;
  const options = { wrapWithDirectory: true, cidVersion: 1, rawLeaves: true } as const;
  for await (const { cid } of importer(site, blockstore, options)) root = cid;
  const { writer, out } = CarWriter.create(root === undefined ? [] : [root]);
  const bytes = Array.fromAsync(out);
  for await (const { cid, bytes: parts } of blockstore.getAll({})) {
    await writer.put({ cid, bytes: Buffer.concat(await Array.fromAsync(parts as AsyncIterable<Uint8Array>)) });
  }
  await writer.close();
  return { root: String(root), car: Buffer.concat(await bytes) };
}

describe('POST /api/v0/ipfs/add_file', () => {
  test.each([
    ['with a filename', blob, 'a.txt'],
    ['without one', {}, HELLO_CID],
  ])('add_file: names a file by its CIDv0, when it comes %s', async (_how, form, name) => {
    await using fixture = await startApi();
    const answer = await fixture.call('POST', '/api/v0/ipfs/add_file', multipart(file(HELLO, form)));
    expect([answer.status, answer.json]).toEqual([200, { status: 'success', hash: HELLO_CID, name, size: 12 }]);
    for (const hash of [HELLO_CID, HELLO_CID_V1, fileHashOf(HELLO)]) {
      expect((await get(fixture, `storage/raw/${hash}`)).body.toString()).toBe(HELLO);
    }
  });

  test('add_file: settles the STORE that waited for the CID, in either form', async () => {
    await using fixture = await startApi({ allow: 'any' });
    const stores = [HELLO_CID, HELLO_CID_V1].map((cid) => fixture.operator.store(cid, { item_type: 'ipfs' }));
    for (const message of await Promise.all(stores)) {
      expect((await fixture.call('POST', '/api/v0/messages', { body: { message } })).status).toBe(202);
    }
    await fixture.call('POST', '/api/v0/ipfs/add_file', multipart(file(HELLO)));
    for (const message of await Promise.all(stores)) {
      const answer = await fixture.call('POST', '/api/v0/messages', { body: { message } });
      expect(answer.json).toMatchObject({ message_status: 'processed' });
      expect(fixture.ledger.store(message.item_hash)).toMatchObject({ sizeBytes: 12 });
    }
  });

  test('add_file: takes a signed STORE with the file, before it or after', async () => {
    await using fixture = await startApi();
    const one = await fixture.operator.store(HELLO_CID, { item_type: 'ipfs' });
    const two = await fixture.operator.store(HELLO_CID_V1, { item_type: 'ipfs' });
    for (const parts of [
      [metadata(one), file(HELLO)],
      [file(HELLO), metadata(two)],
    ]) {
      const answer = await fixture.call('POST', '/api/v0/ipfs/add_file', multipart(...parts));
      expect([answer.status, answer.json]).toMatchObject([200, { hash: HELLO_CID }]);
    }
    expect(fixture.ledger.store(two.item_hash)?.sizeBytes).toBe(12);
  });

  test.each([
    ['another CID than the message names', HELLO_CID, 'other', 'CONTENT_HASH_MISMATCH', 422],
    ['a file past its limit', HELLO_CID, 'x'.repeat(300), 'CONTENT_TOO_LARGE', 413],
    ['a STORE of a SHA-256', fileHashOf(HELLO), HELLO, 'UPLOAD_MALFORMED', 422],
  ])('add_file: stores nothing of %s', async (_what, named, bytes, code, status) => {
    const limits = { unsignedFileBytes: 100, signedIpfsBytes: 200, trustedFileBytes: 200 };
    await using fixture = await startApi({ limits });
    const message = await fixture.operator.store(named, { item_type: named.startsWith('Qm') ? 'ipfs' : 'storage' });
    for (const parts of [
      [metadata(message), file(bytes)],
      [file(bytes), metadata(message)],
    ]) {
      const answer = await fixture.call('POST', '/api/v0/ipfs/add_file', multipart(...parts));
      expect(answer.json).toMatchObject({ code, status, next: expect.any(String) });
    }
    expect(await fixture.files()).toEqual([]);
    expect(fixture.ledger.get(message.item_hash)).toBeUndefined();
  });
});

test('add_json: stores a document by its CID, from which a message is read', async () => {
  await using fixture = await startApi({ allow: 'any' });
  const { signer } = fixture.operator;
  const content = { address: signer.address, time: 1_700_000_000, type: 'test', content: 'x'.repeat(60_000) };
  const answer = await fixture.call('POST', '/api/v0/ipfs/add_json', { body: content });
  const { hash } = answer.json as { hash: string };
  expect([answer.status, hash]).toEqual([200, expect.stringMatching(/^Qm/)]);
  const part = { chain: signer.chain, sender: signer.address, type: 'POST' as const, item_hash: hash };
  const message = { ...part, time: content.time, item_type: 'ipfs', signature: await signer.sign(part as never) };
  expect((await fixture.call('POST', '/api/v0/messages', { body: { message } })).status).toBe(200);
});

describe('POST /api/v0/ipfs/add_car', () => {
  test('add_car: stores a directory by its root, which is served as a tar', async () => {
    await using fixture = await startApi();
    const { root, car } = await siteCar();
    const message = await fixture.operator.store(root, { item_type: 'ipfs' });
    const answer = await fixture.call('POST', '/api/v0/ipfs/add_car', multipart(file(car), metadata(message)));
    expect([answer.status, answer.json]).toMatchObject([200, { status: 'success', hash: root }]);
    const tar = await get(fixture, `storage/raw/${root}`);
    expect(tar.headers).toMatchObject({ 'content-type': 'application/x-tar', 'accept-ranges': 'none' });
    expect(tar.body.includes('<p>hello')).toBe(true);
    expect((await get(fixture, `storage/metadata/${root}`)).json).toMatchObject({ type: 'directory' });
    const files = await get(fixture, `addresses/${fixture.operator.signer.address}/files`);
    expect(files.json).toMatchObject({ files: [{ file_hash: root, type: 'directory', item_hash: message.item_hash }] });
  });

  test('add_car: stores nothing that is unsigned, damaged, or of another root', async () => {
    await using fixture = await startApi();
    const { root, car } = await siteCar();
    const message = metadata(await fixture.operator.store(root, { item_type: 'ipfs' }));
    const other = metadata(await fixture.operator.store(HELLO_CID, { item_type: 'ipfs' }));
    const damaged = Buffer.from(car);
    damaged[car.length - 3] = 0;
    const cases: [string, number, ReturnType<typeof multipart>][] = [
      ['UPLOAD_UNSIGNED', 403, multipart(file(car))],
      ['CAR_REFUSED', 422, multipart(message, file(damaged))],
      ['CAR_REFUSED', 422, multipart(message, file('no car'))],
      ['CONTENT_HASH_MISMATCH', 422, multipart(other, file(car))],
    ];
    for (const [code, status, call] of cases) {
      const answer = await fixture.call('POST', '/api/v0/ipfs/add_car', call);
      expect(answer.json).toMatchObject({ code, status });
    }
    expect(await fixture.files()).toEqual([]);
    expect(fixture.failures).toEqual([]);
  });
});

describe('GET of files', () => {
  test.each([0, 1, 56, 57, 58, 200_000])(
    'storage/{hash}: has %i bytes in base64, in the lines of MIME',
    async (size) => {
      await using fixture = await startApi();
      const bytes = randomBytes(size);
      await fixture.call('POST', '/api/v0/storage/add_file', multipart(file(bytes)));
      const answer = await get(fixture, `storage/${hashOf(bytes)}`);
      const lines = (bytes.toString('base64').match(/.{1,76}/g) ?? []).map((line) => `${line}\n`);
      expect(answer.json).toEqual({
        status: 'success',
        hash: hashOf(bytes),
        engine: 'storage',
        content: lines.join(''),
      });
    },
  );

  test('storage/{hash}: refuses what is too large for JSON, and names the way to its bytes', async () => {
    await using fixture = await startApi({ limits: { inlineFileBytes: 10 } });
    await fixture.call('POST', '/api/v0/ipfs/add_file', multipart(file(HELLO)));
    const answer = await get(fixture, `storage/${HELLO_CID}`);
    expect(answer.json).toMatchObject({
      code: 'CONTENT_NOT_INLINE',
      status: 413,
      next: expect.stringContaining('raw'),
    });
  });

  test('storage/raw: tells of a file by HEAD what GET would, without its bytes', async () => {
    await using fixture = await startApi();
    await fixture.call('POST', '/api/v0/ipfs/add_file', multipart(file(HELLO)));
    const head = await fixture.call('HEAD', `/api/v0/storage/raw/${HELLO_CID_V1}`);
    const whole = await get(fixture, `storage/raw/${HELLO_CID_V1}`);
    expect([head.status, head.body.length, whole.body.toString()]).toEqual([200, 0, HELLO]);
    const { date: _one, ...of } = head.headers;
    expect(whole.headers).toMatchObject(of);
    expect(of).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': '12',
      'accept-ranges': 'none',
    });
  });

  test('storage: finds a STORE by its hash, by the first one under a tag, and by a name of its owner', async () => {
    await using fixture = await startApi({ allow: 'any' });
    const stranger = makeAuthor();
    for (const text of ['one', 'two', 'named', 'other']) {
      await fixture.call('POST', '/api/v0/storage/add_file', multipart(file(text)));
    }
    const one = await fixture.operator.store(fileHashOf('one'));
    const two = await fixture.operator.store(fileHashOf('two'), { ref: one.item_hash });
    const named = await fixture.operator.store(fileHashOf('named'), { ref: 'my file' });
    const other = await stranger.store(fileHashOf('other'), { ref: 'my file' });
    for (const message of [one, two, named, other]) await fixture.ledger.accept(message);
    const owner = fixture.operator.signer.address;
    const shown = (ref: string, text: string, of = owner) => ({
      ...{ ref, owner: of, file_hash: fileHashOf(text), size: text.length },
      download_url: `/api/v0/storage/raw/${fileHashOf(text)}`,
    });
    const json = async (path: string) => (await get(fixture, `storage/${path}`)).json;
    expect(await json(`by-message-hash/${one.item_hash}`)).toEqual(shown(one.item_hash, 'one'));
    expect(await json(`by-ref/${one.item_hash}`)).toEqual(shown(one.item_hash, 'two'));
    expect(await json(`by-ref/${owner}/${one.item_hash}`)).toEqual(shown(one.item_hash, 'two'));
    expect(await json(`by-ref/${owner.toLowerCase()}/my%20file`)).toEqual(shown('my file', 'named'));
    const theirs = stranger.signer.address;
    expect(await json(`by-ref/${theirs}/my%20file`)).toEqual(shown('my file', 'other', theirs));
    const unknown = { code: 'STORE_NOT_FOUND', status: 404 };
    expect(await json(`by-ref/${theirs}/${one.item_hash}`)).toMatchObject(unknown);
    expect(await json(`by-ref/${'0'.repeat(64)}`)).toMatchObject(unknown);
    expect(await json(`by-message-hash/${'0'.repeat(64)}`)).toMatchObject(unknown);
    expect(await json('by-ref/my%20file')).toMatchObject({ code: 'HASH_MALFORMED', status: 400 });
    expect(await json('by-message-hash/x')).toMatchObject({ code: 'HASH_MALFORMED', status: 400 });
  });

  test('storage: tells kind and size of a file, and how many messages name it', async () => {
    await using fixture = await startApi({ allow: 'any' });
    await fixture.call('POST', '/api/v0/ipfs/add_file', multipart(file(HELLO)));
    const facts = { type: 'file', size: 12, file_hash: HELLO_CID, download_url: `/api/v0/storage/raw/${HELLO_CID}` };
    expect((await get(fixture, `storage/metadata/${HELLO_CID}`)).json).toEqual(facts);
    expect((await get(fixture, `storage/count/${HELLO_CID}`)).json).toBe(0);
    for (const cid of [HELLO_CID, HELLO_CID_V1]) {
      await fixture.ledger.accept(await makeAuthor().store(cid, { item_type: 'ipfs' }));
    }
    expect((await get(fixture, `storage/count/${HELLO_CID}`)).json).toBe(2);
    for (const path of ['metadata', 'raw', '.']) {
      const answer = await get(fixture, `storage/${path}/${'0'.repeat(64)}`.replace('/./', '/'));
      expect(answer.json).toMatchObject({ code: 'CONTENT_NOT_FOUND', status: 404 });
    }
    expect((await get(fixture, 'storage/count/bafkreiabc')).json).toMatchObject({ status: 400 });
  });

  test('addresses/{address}/files: lists the files of an address by pages, and is 404 for one without', async () => {
    await using fixture = await startApi();
    const { operator } = fixture;
    const { address } = operator.signer;
    const path = `addresses/${address}/files`;
    expect((await get(fixture, path)).json).toMatchObject({ code: 'ADDRESS_WITHOUT_FILES', status: 404 });
    const messages = [];
    for (const text of ['a', 'bb', 'ccc']) {
      const message = await operator.store(fileHashOf(text));
      await fixture.call('POST', '/api/v0/storage/add_file', multipart(metadata(message), file(text)));
      messages.unshift(message);
    }
    const rows = messages.map((message) => {
      const content = JSON.parse(message.item_content ?? '');
      return {
        ...{ file_hash: content.item_hash, type: 'file', item_hash: message.item_hash },
        ...{ size: expect.any(Number), created: new Date(content.time * 1000).toISOString() },
      };
    });
    const all = { address, total_size: 6, pagination_total: 3, pagination_item: 'files' };
    const whole = { ...all, pagination_page: 1, pagination_per_page: 100, files: rows };
    expect((await get(fixture, path)).json).toEqual(whole);
    expect((await get(fixture, `addresses/${address.toLowerCase()}/files`)).json).toMatchObject({ files: rows });
    const second = { ...all, pagination_page: 2, pagination_per_page: 2, files: rows.slice(2) };
    expect((await get(fixture, `${path}?pagination=2&page=2`)).json).toEqual(second);
    expect((await get(fixture, `${path}?page=0`)).json).toMatchObject({ status: 422 });
  });

  test('storage/limits.json: says how much may be sent, and how long an orphan is kept', async () => {
    await using fixture = await startApi();
    const MIB = 1024 * 1024;
    expect((await get(fixture, 'storage/limits.json')).json).toEqual({
      storage: { unauthenticated: 25 * MIB, authenticated: 100 * MIB, trusted: 4096 * MIB },
      ipfs: { unauthenticated: 25 * MIB, authenticated: 1024 * MIB, trusted: 4096 * MIB },
      car: { unauthenticated: 0, authenticated: 4096 * MIB, trusted: 4096 * MIB },
      json: 4 * MIB,
      message: MIB,
      grace_period_hours: 24,
    });
  });
});

describe('disk and clients', () => {
  test('low disk: uploads and new messages are 507 with what to do, what is here is served, and FORGET goes on', async () => {
    await using fixture = await startApi({ minFreeDiskBytes: Number.MAX_SAFE_INTEGER });
    const stored = await fixture.content.put(
      (async function* () {
        yield Buffer.from('here');
      })(),
      { maxBytes: 9 },
    );
    const known = await fixture.operator.store(stored.fileHash);
    await fixture.ledger.accept(known);
    const low = { code: 'DISK_LOW', status: 507, retryable: true, next: expect.stringContaining('vmlet gc') };
    const message = await fixture.operator.post('x');
    for (const [path, call] of [
      ['storage/add_file', multipart(file('text'))],
      ['ipfs/add_file', multipart(file('text'))],
      ['ipfs/add_car', multipart(file('text'))],
      ['storage/add_json', { body: {} }],
      ['messages', { body: { message } }],
    ] as const) {
      expect((await fixture.call('POST', `/api/v0/${path}`, call)).json, path).toMatchObject(low);
    }
    expect(fixture.ledger.get(message.item_hash)).toBeUndefined();
    expect((await get(fixture, `storage/raw/${stored.fileHash}`)).body.toString()).toBe('here');
    expect((await fixture.call('POST', '/api/v0/messages', { body: { message: known } })).status).toBe(200);
    const forget = await fixture.operator.forget(known.item_hash);
    expect((await fixture.call('POST', '/api/v0/messages', { body: { message: forget } })).status).toBe(200);
    fixture.failures.splice(0);
  });

  test('slow client: an upload that all but stops is ended with 408, and leaves nothing', async () => {
    await using fixture = await startApi({ limits: { slowMs: 50 } });
    const { headers, body } = multipart(file(Buffer.alloc(100_000)));
    const socket = connect(fixture.socketPath);
    const head = Object.entries({ host: 'x', 'content-length': body.length, ...headers });
    socket.write(
      `POST /api/v0/storage/add_file HTTP/1.1\r\n${head.map((one) => `${one.join(': ')}\r\n`).join('')}\r\n`,
    );
    socket.write(body.subarray(0, 1000));
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1.1 408 [\s\S]*UPLOAD_TOO_SLOW/);
    socket.destroy();
    await expect.poll(() => fixture.files()).toEqual([]);
  });

  test('slow client: a download that nobody reads loses its connection', async () => {
    await using fixture = await startApi({ limits: { slowMs: 50 } });
    const bytes = randomBytes(8_000_000);
    await fixture.call('POST', '/api/v0/storage/add_file', multipart(file(bytes)));
    const before = await fixture.openSockets();
    const socket = connect(fixture.socketPath).pause();
    await once(socket, 'connect');
    socket.write(`GET /api/v0/storage/raw/${hashOf(bytes)} HTTP/1.1\r\nhost: x\r\n\r\n`);
    let takenBytes = 0;
    // Read only once it is over: what has come until then is less than the whole.
    await expect.poll(async () => fixture.openSockets()).toBe(before);
    for await (const chunk of socket) takenBytes += (chunk as Buffer).length;
    expect(takenBytes).toBeLessThan(bytes.length);
  });
});

test('add_file: whatever multipart body comes is stored or refused in words, and leaves no half of it', async () => {
  await using fixture = await startApi({ limits: { unsignedFileBytes: 4000 } });
  const whole = multipart({ name: 'x', bytes: 'field' }, file(randomBytes(700), blob), { name: 'y', bytes: '{}' });
  const change = fc.record({
    at: fc.integer({ min: 0, max: whole.body.length - 1 }),
    to: fc.oneof(fc.uint8Array({ maxLength: 6 }), fc.constantFrom('\r\n', '--', '\r\n\r\n', ';', '"').map(Buffer.from)),
    drop: fc.integer({ min: 0, max: 40 }),
  });
  const bodies = fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
    let bytes: Buffer = whole.body;
    for (const { at, to, drop } of changes)
      bytes = Buffer.concat([bytes.subarray(0, at), to, bytes.subarray(at + drop)]);
    return bytes;
  });
  const paths = fc.constantFrom('storage/add_file', 'ipfs/add_file', 'ipfs/add_car');
  await fc.assert(
    fc.asyncProperty(bodies, paths, async (body, path) => {
      const { status, json } = await fixture.call('POST', `/api/v0/${path}`, { headers: whole.headers, body });
      expect([200, 403, 413, 422]).toContain(status);
      if (status !== 200) expect(json).toMatchObject({ code: expect.any(String), cause: expect.any(String) });
    }),
    { numRuns: FUZZED },
  );
  expect(fixture.failures).toEqual([]);
  expect((await fixture.files()).filter((name) => name.endsWith('.part'))).toEqual([]);
});
