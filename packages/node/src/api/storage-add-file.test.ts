import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Envelope } from '@vmlet/messages';
import { describe, expect, test } from 'vitest';
import { hashOf } from '../content/compliance.ts';
import { VmletError } from '../errors.ts';
import { fileHashOf, makeAuthor } from '../ledger/testing.ts';
import { type ApiFixture, multipart, startApi } from './testing.ts';

const PATH = '/api/v0/storage/add_file';
const metadata = (message: Envelope, sync = false) => ({ name: 'metadata', bytes: JSON.stringify({ message, sync }) });
const file = (bytes: string | Buffer) => ({ name: 'file', bytes });

async function nothingStored(fixture: ApiFixture, message?: Envelope): Promise<void> {
  expect(await fixture.files()).toEqual([]);
  if (message !== undefined) expect(fixture.ledger.get(message.item_hash)).toBeUndefined();
  expect(fixture.failures).toEqual([]);
}

describe('POST /api/v0/storage/add_file', () => {
  test.each([
    ['a Buffer, without filename and type', {}],
    ['a Blob', { disposition: '; filename="blob"', type: 'application/octet-stream' }],
    ['a text', { disposition: '; filename="a.txt"', type: 'text/plain; charset=utf-8' }],
  ])('add_file: stores bytes as they are and the message, when the file comes as %s', async (_what, form) => {
    await using fixture = await startApi();
    // Not UTF-8, with line ends and dashes: what a parser of text would change.
    const bytes = Buffer.concat([
      Buffer.from('\r\n--\xff\xfe\r\n', 'latin1'),
      randomBytes(200_000),
      Buffer.from('\r\n'),
    ]);
    const message = await fixture.operator.store(hashOf(bytes));
    const answer = await fixture.call('POST', PATH, multipart(metadata(message), { ...file(bytes), ...form }));
    expect([answer.status, answer.json]).toEqual([200, { status: 'success', hash: hashOf(bytes) }]);
    expect(fixture.ledger.store(message.item_hash)).toMatchObject({ sizeBytes: bytes.length });
    expect((await fixture.call('GET', `/api/v0/storage/raw/${hashOf(bytes)}?find`)).body.equals(bytes)).toBe(true);
  });

  test('add_file: takes the parts in the other order', async () => {
    await using fixture = await startApi();
    const message = await fixture.operator.store(fileHashOf('text'));
    const answer = await fixture.call('POST', PATH, multipart(file('text'), metadata(message, true)));
    expect(answer.status).toBe(200);
    expect(fixture.ledger.store(message.item_hash)?.fileHash).toBe(fileHashOf('text'));
  });

  test('add_file: takes a file without a message, as a part or as the body', async () => {
    await using fixture = await startApi();
    const asPart = await fixture.call('POST', PATH, multipart(file('part')));
    const asBody = await fixture.call('POST', PATH, { headers: { 'content-type': 'text/html' }, body: '<p>body' });
    const untyped = await fixture.call('POST', PATH, { body: Buffer.from('bare') });
    expect([asPart, asBody, untyped].map(({ status, json }) => [status, json])).toEqual(
      ['part', '<p>body', 'bare'].map((text) => [200, { status: 'success', hash: fileHashOf(text) }]),
    );
  });

  test('add_file: answers 202, when the message waits for something else', async () => {
    await using fixture = await startApi();
    const original = await fixture.operator.store(fileHashOf('elsewhere'));
    const message = await fixture.operator.store(fileHashOf('text'), { ref: original.item_hash });
    const answer = await fixture.call('POST', PATH, multipart(metadata(message), file('text')));
    expect([answer.status, answer.json]).toEqual([202, { status: 'success', hash: fileHashOf('text') }]);
  });
});

describe('POST /api/v0/storage/add_file, refused', () => {
  const limits = { unsignedFileBytes: 1000, signedFileBytes: 2000, trustedFileBytes: 3000 };

  const cases: [string, string, number, (f: ApiFixture) => Promise<ReturnType<typeof multipart>>][] = [
    [
      'a hash other than the message names',
      'CONTENT_HASH_MISMATCH',
      422,
      async ({ operator }) => multipart(metadata(await operator.store(fileHashOf('other'))), file('text')),
    ],
    [
      'the same, with the file first',
      'CONTENT_HASH_MISMATCH',
      422,
      async ({ operator }) => multipart(file('text'), metadata(await operator.store(fileHashOf('other')))),
    ],
    [
      'a signature that does not verify',
      'MESSAGE_SIGNATURE',
      403,
      async ({ operator }) =>
        multipart(metadata({ ...(await operator.store(fileHashOf('text'))), signature: '0x00' }), file('text')),
    ],
    [
      'a sender that is not allowed',
      'PUBLISH_FORBIDDEN',
      403,
      async () => multipart(metadata(await makeAuthor().store(fileHashOf('text'))), file('text')),
    ],
    [
      'another address than the sender',
      'MESSAGE_REJECTED',
      422,
      async ({ operator }) =>
        multipart(metadata(await operator.store(fileHashOf('x'), { address: makeAuthor().signer.address })), file('x')),
    ],
    [
      'a message that is no STORE',
      'UPLOAD_MALFORMED',
      422,
      async ({ operator }) => multipart(metadata(await operator.post('x')), file('text')),
    ],
    [
      'a STORE of an IPFS file',
      'UPLOAD_MALFORMED',
      422,
      async ({ operator }) => {
        const item_hash = 'QmYULJoNGPDmoRq4WNWTDTUvJGJv1hosox8H6vVd1kCsY8';
        return multipart(metadata(await operator.store(item_hash, { item_type: 'ipfs' })), file('text'));
      },
    ],
    [
      'metadata that is no JSON',
      'UPLOAD_MALFORMED',
      422,
      async () => multipart({ name: 'metadata', bytes: '{"message":' }, file('text')),
    ],
    [
      'a message of another shape',
      'MESSAGE_MALFORMED',
      422,
      async () => multipart({ name: 'metadata', bytes: '{"message":{"type":"STORE"}}' }, file('text')),
    ],
    [
      'no part named file',
      'UPLOAD_MALFORMED',
      422,
      async ({ operator }) =>
        multipart(metadata(await operator.store(fileHashOf('text'))), { name: 'data', bytes: 'text' }),
    ],
    ['two files', 'UPLOAD_MALFORMED', 422, async () => multipart(file('one'), file('two'))],
    [
      'two parts named metadata',
      'UPLOAD_MALFORMED',
      422,
      async ({ operator }) => {
        const part = metadata(await operator.store(fileHashOf('text')));
        return multipart(part, part, file('text'));
      },
    ],
    ['an unsigned file past its limit', 'CONTENT_TOO_LARGE', 413, async () => multipart(file('x'.repeat(1001)))],
    [
      'a trusted file past its limit',
      'CONTENT_TOO_LARGE',
      413,
      async ({ operator }) =>
        multipart(metadata(await operator.store(fileHashOf('x'.repeat(3001)))), file('x'.repeat(3001))),
    ],
    [
      'a file before its metadata past the limit',
      'CONTENT_TOO_LARGE',
      413,
      async ({ operator }) =>
        multipart(file('x'.repeat(2001)), metadata(await operator.store(fileHashOf('x'.repeat(2001))))),
    ],
    [
      'a body without its last boundary',
      'UPLOAD_MALFORMED',
      422,
      async ({ operator }) => {
        const whole = multipart(metadata(await operator.store(fileHashOf('text'))), file('text'));
        return { ...whole, body: whole.body.subarray(0, -12) };
      },
    ],
    [
      'no boundary',
      'UPLOAD_MALFORMED',
      422,
      async () => ({
        ...multipart(file('text')),
        headers: { 'content-type': 'multipart/form-data' },
      }),
    ],
  ];

  test.each(cases)('add_file: stores nothing of %s', async (_what, code, status, build) => {
    await using fixture = await startApi({ limits });
    const answer = await fixture.call('POST', PATH, await build(fixture));
    expect(answer.json).toMatchObject({ code, status, next: expect.any(String), cause: expect.any(String) });
    expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/problem+json']);
    await nothingStored(fixture);
  });

  test('add_file: gives allowed strangers and trusted addresses limits of their own', async () => {
    await using fixture = await startApi({ limits, allow: 'any' });
    const stranger = makeAuthor();
    const upload = async (author: typeof stranger, sizeBytes: number) => {
      const text = 'x'.repeat(sizeBytes);
      const call = multipart(metadata(await author.store(fileHashOf(text))), file(text));
      return (await fixture.call('POST', PATH, call)).status;
    };
    expect(await upload(stranger, 2000)).toBe(200);
    expect(await upload(stranger, 2001)).toBe(413);
    expect(await upload(fixture.operator, 3000)).toBe(200);
  });

  test('add_file: refuses unsigned files, when they are switched off', async () => {
    await using fixture = await startApi({ limits: { unsignedFileBytes: 0 } });
    for (const call of [multipart(file('text')), { body: Buffer.from('raw') }, { body: Buffer.alloc(300_000) }]) {
      const { json } = await fixture.call('POST', PATH, call);
      expect(json).toMatchObject({ code: 'UPLOAD_UNSIGNED', status: 403 });
    }
    await nothingStored(fixture);
  });

  test('add_file: answers 507, when the disk is full', async () => {
    await using fixture = await startApi();
    fixture.content.stage = async () => {
      throw new VmletError('STORAGE_FULL', { operands: { name: 'upload', cause: 'ENOSPC' } });
    };
    const message = await fixture.operator.store(fileHashOf('text'));
    const answer = await fixture.call('POST', PATH, multipart(metadata(message), file('text')));
    expect(answer).toMatchObject({ status: 507, json: { code: 'STORAGE_FULL', retryable: true } });
    expect(fixture.failures.splice(0)).toHaveLength(1);
    await nothingStored(fixture, message);
  });

  test('add_file: refuses what a forgotten message named', async () => {
    await using fixture = await startApi();
    const message = await fixture.operator.store(fileHashOf('text'));
    await fixture.ledger.accept(message);
    await fixture.content.put(
      (async function* () {
        yield Buffer.from('text');
      })(),
      { maxBytes: 9 },
    );
    await fixture.ledger.accept(await fixture.operator.forget(message.item_hash));
    await fixture.content.remove(fileHashOf('text'));
    const answer = await fixture.call('POST', PATH, multipart(metadata(message), file('text')));
    expect(answer.json).toMatchObject({ code: 'MESSAGE_FORGOTTEN', status: 410 });
    await nothingStored(fixture);
  });
});

describe('POST /api/v0/storage/add_file, over a connection that breaks', () => {
  async function sendPart(fixture: ApiFixture, call: ReturnType<typeof multipart>, sentBytes: number) {
    const socket = connect(fixture.socketPath);
    const head = Object.entries({ host: 'x', 'content-length': call.body.length, ...call.headers });
    socket.write(`POST ${PATH} HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
    socket.write(call.body.subarray(0, sentBytes));
    return socket;
  }

  test.each([
    ['in the middle of the file', 150_000],
    ['before the last boundary', -20],
    ['in the metadata', 300],
  ])('add_file: leaves nothing, when the body is cut short %s', async (_where, at) => {
    await using fixture = await startApi();
    const bytes = randomBytes(300_000);
    const message = await fixture.operator.store(hashOf(bytes));
    const call = multipart(metadata(message), file(bytes));
    const begun = Promise.withResolvers<void>();
    const settled = Promise.withResolvers<void>();
    const stage = fixture.content.stage.bind(fixture.content);
    fixture.content.stage = async (source, options) => {
      begun.resolve();
      try {
        return await stage(source, options);
      } finally {
        settled.resolve();
      }
    };
    const socket = await sendPart(fixture, call, at);
    if (at !== 300) await begun.promise;
    socket.destroy();
    await once(socket, 'close');
    if (at === 150_000) await settled.promise;
    await expect.poll(() => fixture.files()).toEqual([]);
    await nothingStored(fixture, message);
  });

  test('add_file: can be read by a client that is still sending, and the connection goes on', async () => {
    await using fixture = await startApi();
    const message = { ...(await fixture.operator.store(fileHashOf('x'))), signature: '0x00' };
    const call = multipart(metadata(message), file(Buffer.alloc(2_000_000)));
    const socket = await sendPart(fixture, call, 100_000);
    const [first] = await once(socket, 'data');
    expect(String(first)).toMatch(/^HTTP\/1.1 403 /);
    socket.write(call.body.subarray(100_000));
    socket.write('GET /version HTTP/1.1\r\nhost: x\r\n\r\n');
    let text = '';
    for await (const chunk of socket) {
      text += String(chunk);
      if (text.includes('1.2.3')) break;
    }
    expect(text).toMatch(/HTTP\/1.1 200 /);
    await nothingStored(fixture, message);
  });
});
