import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { itemHashOf, parseEnvelope, verifySignature } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { Identities } from './identities.ts';
import { OTHER, OWNER, PROGRAM, startGuestApi } from './testing.ts';

type Fixture = Awaited<ReturnType<typeof startGuestApi>>;

const addressOf = async ({ call }: Fixture, program = PROGRAM) =>
  ((await call('/properties', {}, program)).json as { address: string }).address;
const codeOf = (json: unknown) => (json as { code?: string }).code;

/** The envelope of a POST of the program's, without a signature. */
function draft(address: string, envelope: object = {}, content: object = {}) {
  const item_content = JSON.stringify({ address, time: 1_700_000_000, type: 'note', content: { a: 1 }, ...content });
  const item_hash = itemHashOf(item_content);
  return { chain: 'ETH', sender: address, type: 'POST', item_type: 'inline', item_hash, item_content, ...envelope };
}

describe('properties and keys', () => {
  test('guest API: each program has a key of its own, which stays and is 0600', async () => {
    await using it = await startGuestApi();
    const { status, json } = await it.call('/properties');
    expect(status).toBe(200);
    expect(json).toEqual({
      chain: 'ETH',
      curve: 'secp256k1',
      address: expect.stringMatching(/^0x[0-9a-fA-F]{40}$/),
      public_key: expect.stringMatching(/^0x0[23][0-9a-f]{64}$/),
    });
    const address = await addressOf(it);
    expect(await addressOf(it, OTHER)).not.toBe(address);
    expect((await readdir(it.keys)).toSorted()).toEqual([`${PROGRAM}.key`, `${OTHER}.key`]);
    expect((await stat(join(it.keys, `${PROGRAM}.key`))).mode & 0o777).toBe(0o600);
    expect((await stat(it.keys)).mode & 0o777).toBe(0o700);
    expect(await it.api.hostOf({ itemHash: PROGRAM, guestApi: true })).toMatchObject({
      variables: { ALEPH_ADDRESS_TO_USE: address },
    });
  });

  test('guest API: a program whose message asks for no host has none', async () => {
    await using it = await startGuestApi();
    expect(await it.api.hostOf({ itemHash: PROGRAM, guestApi: false })).toBeUndefined();
    await expect(readdir(it.keys)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('identities: know whose program an address is, also when its key is gone', async () => {
    await using it = await startGuestApi();
    const address = await addressOf(it);
    expect(it.identities.programOf(address.toLowerCase())).toEqual({ itemHash: PROGRAM, owner: OWNER });
    await it.identities.forget(PROGRAM);
    expect(await readdir(it.keys)).toEqual([]);
    expect(it.identities.programOf(address)).toEqual({ itemHash: PROGRAM, owner: OWNER });
    expect(it.identities.addressesOf(OWNER.toLowerCase())).toEqual([address.toLowerCase()]);
    expect(it.identities.programOf(OWNER)).toBeUndefined();
  });

  test('guest API: nothing of a key is in an answer', async () => {
    await using it = await startGuestApi();
    const address = await addressOf(it);
    const answers = await Promise.all([
      it.call('/properties'),
      it.call('/sign', { method: 'POST', body: draft(address) }),
      it.call('/sign', { method: 'POST', body: draft(OWNER) }),
    ]);
    const secret = (await readFile(join(it.keys, `${PROGRAM}.key`), 'utf8')).trim();
    expect(answers.filter(({ text }) => text.includes(secret))).toEqual([]);
  });

  test('guest API: a program that is removed while its machine ends is refused', async () => {
    await using it = await startGuestApi();
    await it.call('/properties');
    it.programs.delete(PROGRAM);
    expect((await it.call('/cache/a', { method: 'PUT', body: '1' })).status).toBe(500);
  });
});

describe('cache', () => {
  test('cache: keeps bytes by key, of each program by itself', async () => {
    await using it = await startGuestApi();
    const bytes = Buffer.from([0, 255, 10, 13]);
    expect((await it.call('/cache/key', { method: 'PUT', body: bytes })).json).toBe(true);
    const got = await it.call('/cache/key');
    expect({ status: got.status, bytes: got.bytes }).toEqual({ status: 200, bytes });
    expect(got.headers['content-type']).toBe('application/octet-stream');
    expect((await it.call('/cache/key', {}, OTHER)).status).toBe(404);
    expect((await it.call('/cache/', {}, OTHER)).json).toEqual([]);
    await it.call('/cache/key', { method: 'PUT', body: 'again' });
    expect((await it.call('/cache/key')).text).toBe('again');
    expect((await it.call('/cache/key', { method: 'DELETE' })).json).toBe(1);
    expect((await it.call('/cache/key', { method: 'DELETE' })).json).toBe(0);
    const missing = await it.call('/cache/key');
    expect([missing.status, codeOf(missing.json)]).toEqual([404, 'CACHE_KEY_UNKNOWN']);
    expect(missing.headers['content-type']).toBe('application/problem+json');
  });

  test('cache: lists keys, all or by pattern', async () => {
    await using it = await startGuestApi();
    for (const key of ['a1', 'a2', 'b1', 'ünder_score']) {
      await it.call(`/cache/${encodeURIComponent(key)}`, { method: 'PUT', body: key });
    }
    const keys = async (query: string) => (await it.call(`/cache/${query}`)).json;
    expect(await keys('')).toEqual(['a1', 'a2', 'b1', 'ünder_score']);
    expect(await keys('?pattern=a*')).toEqual(['a1', 'a2']);
    expect(await keys('?pattern=?1')).toEqual(['a1', 'b1']);
    expect(await keys('?pattern=*_*')).toEqual(['ünder_score']);
    expect((await it.call('/cache')).json).toEqual(await keys(''));
    const refused = await it.call('/cache/?pattern=[a]');
    expect([refused.status, codeOf(refused.json)]).toEqual([400, 'CACHE_REQUEST_MALFORMED']);
  });

  test('cache: an entry is over after a week, or when its request said', async () => {
    let nowMs = 1_700_000_000_000;
    await using it = await startGuestApi({ now: () => nowMs });
    await it.call('/cache/week', { method: 'PUT', body: '1' });
    await it.call('/cache/query?ttl=10', { method: 'PUT', body: '1' });
    await it.call('/cache/header', { method: 'PUT', body: '1', headers: { 'cache-control': 'private, max-age=20' } });
    const left = async () => (await it.call('/cache/')).json;
    nowMs += 10_000;
    expect(await left()).toEqual(['header', 'week']);
    nowMs += 10_000;
    expect(await left()).toEqual(['week']);
    expect((await it.call('/cache/query')).status).toBe(404);
    nowMs += 7 * 24 * 3600 * 1000;
    expect(await left()).toEqual([]);
    for (const ttl of ['0', '-1', '1.5', 'x', '', '99999999999']) {
      const refused = await it.call(`/cache/key?ttl=${ttl}`, { method: 'PUT', body: '1' });
      expect([ttl, refused.status, codeOf(refused.json)]).toEqual([ttl, 400, 'CACHE_REQUEST_MALFORMED']);
    }
  });

  test('cache: refuses keys that are none, and says what is one', async () => {
    await using it = await startGuestApi();
    for (const key of ['a-b', 'a%20b', 'a/b', 'a%2Fb', '..%2Fa', '%ff', 'x'.repeat(129), 'a*']) {
      const refused = await it.call(`/cache/${key}`, { method: 'PUT', body: '1' });
      expect([key, refused.status, codeOf(refused.json)]).toEqual([key, 400, 'CACHE_REQUEST_MALFORMED']);
    }
  });

  test('cache: refuses a value that is too long by its length, and one that turns out to be', async () => {
    await using it = await startGuestApi();
    const long = Buffer.alloc(1024 * 1024 + 1);
    const byLength = await it.call('/cache/key', { method: 'PUT', body: long });
    const chunked = await it.call('/cache/key', { method: 'PUT', body: long, chunked: true });
    for (const { status, json } of [byLength, chunked]) {
      expect([status, codeOf(json)]).toEqual([413, 'CACHE_VALUE_TOO_LARGE']);
    }
    expect((await it.call('/cache/key', { method: 'PUT', body: long.subarray(1) })).status).toBe(200);
  });

  test('cache: a program that has its share is refused, keeps what it has, and may go on when it has deleted', async () => {
    await using it = await startGuestApi();
    const part = Buffer.alloc(1024 * 1024, 1);
    for (let index = 0; index < 16; index++) {
      expect((await it.call(`/cache/key${index}`, { method: 'PUT', body: part })).status).toBe(200);
    }
    const refused = await it.call('/cache/more', { method: 'PUT', body: 'x' });
    expect([refused.status, codeOf(refused.json)]).toEqual([507, 'CACHE_FULL']);
    // In its own place it takes no more.
    expect((await it.call('/cache/key0', { method: 'PUT', body: part })).status).toBe(200);
    expect((await it.call('/cache/more', { method: 'PUT', body: 'x' }, OTHER)).status).toBe(200);
    await it.call('/cache/key1', { method: 'DELETE' });
    expect((await it.call('/cache/more', { method: 'PUT', body: 'x' })).status).toBe(200);
  });

  test('cache: is gone with its program', async () => {
    await using it = await startGuestApi();
    await it.call('/cache/key', { method: 'PUT', body: '1' });
    it.cache.forget(PROGRAM);
    expect((await it.call('/cache/')).json).toEqual([]);
  });
});

describe('signing and publishing', () => {
  test('sign: signs a message of the program in full, as the network checks it', async () => {
    await using it = await startGuestApi();
    const address = await addressOf(it);
    const { status, json } = await it.call('/sign', {
      method: 'POST',
      body: draft(address, { time: 5, channel: 'C' }),
    });
    expect(status).toBe(200);
    const envelope = parseEnvelope(json);
    expect(envelope).toMatchObject({ ...draft(address), time: 5, channel: 'C' });
    expect(verifySignature(envelope)).toEqual({ ok: true });
  });

  test('sign: gives back what else stood in the message, as the reference system’s client wants it', async () => {
    await using it = await startGuestApi();
    const message = draft(await addressOf(it), { content: { type: 'note' }, signature: 'none yet' });
    const { json } = await it.call('/sign', { method: 'POST', body: message });
    expect(json).toMatchObject({ ...message, signature: expect.stringMatching(/^0x[0-9a-f]{130}$/) });
  });

  test('sign: fills in what only the node knows', async () => {
    await using it = await startGuestApi();
    const address = await addressOf(it);
    const { item_content } = draft(address);
    const { json } = await it.call('/sign', { method: 'POST', body: { type: 'POST', item_content } });
    expect(verifySignature(parseEnvelope(json))).toEqual({ ok: true });
  });

  test.each<[string, number, object]>([
    ['sender', 400, { sender: OWNER }],
    ['item_hash', 400, { item_hash: 'c'.repeat(64) }],
    ['type', 400, { type: 'PROGRAM' }],
    ['type', 400, { type: 'INSTANCE' }],
    ['chain', 400, { chain: 'SOL' }],
    ['item_type', 400, { item_type: 'storage' }],
    ['item_content', 400, { item_content: null }],
    ['item_content', 422, { item_hash: undefined, item_content: '[]' }],
    ['item_content', 422, { item_hash: undefined, item_content: '{"address":"x"' }],
  ])('sign: refuses a message for its %s, with %i, and names it', async (member, status, envelope) => {
    await using it = await startGuestApi();
    const body = draft(await addressOf(it), envelope);
    const refused = await it.call('/sign', { method: 'POST', body });
    expect([refused.status, refused.text]).toEqual([
      status,
      expect.stringContaining(status === 400 ? member : 'Cannot'),
    ]);
  });

  test('sign: refuses a content in the name of somebody else', async () => {
    await using it = await startGuestApi();
    const address = await addressOf(it);
    for (const other of [OWNER, PROGRAM, await addressOf(it, OTHER)]) {
      const refused = await it.call('/sign', { method: 'POST', body: draft(address, {}, { address: other }) });
      expect([refused.status, codeOf(refused.json)]).toEqual([400, 'SIGN_REFUSED']);
    }
  });

  test('publish: signs what has no signature, and passes on as it is what has one', async () => {
    await using it = await startGuestApi();
    const address = await addressOf(it);
    const message = draft(address);
    const unsigned = await it.call('/api/v0/messages', { method: 'POST', body: { sync: true, message } });
    expect([unsigned.status, unsigned.json]).toEqual([202, { message_status: 'pending' }]);
    const foreign = { ...message, sender: OWNER, signature: '0x1234' };
    await it.call('/api/v0/messages', { method: 'POST', body: { message: foreign } });
    await it.call('/api/v0/ipfs/pubsub/pub', { method: 'POST', body: { topic: 'T', data: message } });
    await it.call('/api/v0/p2p/pubsub/pub', { method: 'POST', body: { topic: 'T', data: JSON.stringify(message) } });
    const [first, second, third, fourth] = it.passed.map(({ payload = '' }) => JSON.parse(payload));
    expect(verifySignature(parseEnvelope(first.message))).toEqual({ ok: true });
    expect(first.sync).toBe(true);
    expect(second).toEqual({ sync: false, message: foreign });
    expect(it.passed.map(({ url }) => url).slice(2)).toEqual(['/api/v0/ipfs/pubsub/pub', '/api/v0/p2p/pubsub/pub']);
    for (const { topic, data } of [third, fourth]) {
      expect(topic).toBe('T');
      expect(verifySignature(parseEnvelope(JSON.parse(data)))).toEqual({ ok: true });
    }
    const refused = await it.call('/api/v0/messages', { method: 'POST', body: { message: draft(OWNER) } });
    expect([refused.status, codeOf(refused.json)]).toEqual([400, 'SIGN_REFUSED']);
  });

  test.each(['', 'x', '[]', '{}', '{"message":1}', 'null'])('publish: refuses %j with 4xx', async (body) => {
    await using it = await startGuestApi();
    for (const path of ['/api/v0/messages', '/api/v0/ipfs/pubsub/pub', '/sign']) {
      const { status } = await it.call(path, { method: 'POST', body });
      expect([path, status >= 400 && status < 500]).toEqual([path, true]);
    }
    expect(it.failures).toEqual([]);
  });
});

describe('reading', () => {
  test('read: asks the network API, and tells it nothing that the program says of itself', async () => {
    await using it = await startGuestApi();
    const headers = {
      host: 'elsewhere',
      authorization: 'x',
      cookie: 'y',
      'x-forwarded-for': '1.2.3.4',
      range: 'bytes=0-1',
    };
    const url = '/api/v0/messages.json?hashes=x';
    expect((await it.call(url, { headers })).status).toBe(200);
    expect(it.passed).toEqual([{ method: 'GET', url, headers: { host: 'localhost', range: 'bytes=0-1' } }]);
  });

  test('read: nothing but reads, uploads and messages goes there', async () => {
    await using it = await startGuestApi();
    await it.call('/api/v0/storage/add_file', { method: 'POST', body: 'x' });
    expect(it.passed.map(({ url }) => url)).toEqual(['/api/v0/storage/add_file']);
    for (const [method, path] of [
      ['POST', '/api/v0/other'],
      ['PUT', '/api/v0/messages'],
      ['DELETE', '/api/v0/storage/x'],
      ['POST', '/'],
      ['PATCH', '/cache/key'],
    ] as const) {
      const refused = await it.call(path, { method });
      expect([path, refused.status, codeOf(refused.json)]).toEqual([path, 404, 'GUEST_ROUTE_UNKNOWN']);
    }
    expect(it.passed).toHaveLength(1);
  });
});

describe('limits', () => {
  test('guest API: a program that calls in a loop is told to wait, and others are not', async () => {
    await using it = await startGuestApi();
    let last = await it.call('/cache/');
    for (let times = 0; times < 2000 && last.status === 200; times++) last = await it.call('/cache/');
    expect([last.status, codeOf(last.json)]).toEqual([429, 'GUEST_RATE_EXCEEDED']);
    expect(Number(last.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect((await it.call('/cache/', {}, OTHER)).status).toBe(200);
  });

  test('guest API: what bodies of one program are held at once is bounded', async () => {
    await using it = await startGuestApi();
    const body = Buffer.alloc(1024 * 1024 - 1);
    const streams = await Promise.all(Array.from({ length: 9 }, () => it.open()));
    // All but the last byte, so that none is over.
    const head = `PUT /cache/key HTTP/1.1\r\ncontent-length: ${body.length + 1}\r\n\r\n`;
    const answered = Promise.withResolvers<string>();
    for (const stream of streams) {
      stream.on('data', (bytes: Buffer) => answered.resolve(bytes.toString('latin1')));
      stream.write(head);
      stream.write(body);
    }
    expect(await answered.promise).toMatch(/^HTTP\/1.1 429 /);
    // Their programs end: what was held is free again.
    for (const stream of streams) {
      stream.end();
      await finished(stream);
    }
    const again = await it.call('/cache/key', { method: 'PUT', body });
    expect(again.status).toBe(200);
  });
});

test('identities: a second node of the home finds the same keys', async () => {
  await using it = await startGuestApi();
  const address = await addressOf(it);
  const again = new Identities({ database: it.database, dir: it.keys });
  expect(again.programOf(address)).toEqual({ itemHash: PROGRAM, owner: OWNER });
  expect((await again.of({ itemHash: PROGRAM, owner: OWNER })).signer.address).toBe(address);
});
