import { randomBytes } from 'node:crypto';
import { chmod, open, readdir } from 'node:fs/promises';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sourceOf } from '../content/compliance.ts';
import { bytesOf, fileHashOf } from '../ledger/testing.ts';
import { startApi } from './testing.ts';

describe('GET /api/v0/storage/raw/{hash}', () => {
  const path = (hash: string) => `/api/v0/storage/raw/${hash}`;

  test('raw: sends bytes as a download that no browser runs', async () => {
    await using fixture = await startApi();
    const { fileHash } = await fixture.content.put(bytesOf('<script>alert(1)</script>'), { maxBytes: 99 });
    const [get, head] = await Promise.all([fixture.call('GET', path(fileHash)), fixture.call('HEAD', path(fileHash))]);
    expect(get.body.toString()).toBe('<script>alert(1)</script>');
    expect(head.body).toHaveLength(0);
    for (const { status, headers } of [get, head]) {
      expect(status).toBe(200);
      expect(headers).toMatchObject({
        'content-type': 'application/octet-stream',
        'content-length': '25',
        'accept-ranges': 'none',
        'content-disposition': `attachment; filename="${fileHash}"`,
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
        'access-control-allow-origin': '*',
        'access-control-expose-headers': '*',
      });
    }
  });

  test.each(['GET', 'HEAD'])('raw: answers 404 to an unknown and 400 to a malformed hash, to %s', async (method) => {
    await using fixture = await startApi();
    expect((await fixture.call(method, path('a'.repeat(64)))).status).toBe(404);
    expect((await fixture.call(method, path('QmYULJoNGPDmoRq4WNWTDTUvJGJv1hosox8H6vVd1kCsY8'))).status).toBe(404);
    expect((await fixture.call(method, path('..%2f..%2fnode.db'))).status).toBe(400);
  });

  test('raw: breaks the connection before the last byte, when the file is damaged', async () => {
    await using fixture = await startApi();
    const { fileHash } = await fixture.content.put(sourceOf(randomBytes(3_000_000)), { maxBytes: 3_000_000 });
    const onDisk = await fixture.content.verifiedPath(fileHash);
    await chmod(onDisk, 0o600);
    await using handle = await open(onDisk, 'r+');
    await handle.write(Buffer.from('evil'), 0, 4, 2_000_000);
    await expect(fixture.call('GET', path(fileHash))).rejects.toThrow(/aborted|ECONNRESET/);
    expect((await fixture.call('GET', '/version')).status).toBe(200);
  });

  test('raw: holds no file open, when the client goes away', async () => {
    await using fixture = await startApi();
    const { fileHash } = await fixture.content.put(sourceOf(randomBytes(8_000_000)), { maxBytes: 8_000_000 });
    const outgoing = request({ socketPath: fixture.socketPath, path: path(fileHash) });
    const { promise, resolve } = Promise.withResolvers<void>();
    outgoing.on('response', (response) => {
      response.once('data', () => {
        response.destroy();
        resolve();
      });
    });
    outgoing.on('error', () => {}).end();
    await promise;
    const openFiles = async () => {
      const { readlink } = await import('node:fs/promises');
      const links = await Promise.all(
        (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
      );
      return links.filter((link) => link.startsWith(join(dirname(fixture.socketPath), 'content')));
    };
    await expect.poll(openFiles).toEqual([]);
  });
});

describe('POST /api/v0/storage/add_json', () => {
  test('add_json: stores sorted compact JSON, and a message may name it', async () => {
    await using fixture = await startApi();
    const body = '{ "b": 12345678901234567890, "a": [1.0, {"z":null,"y":"é\\n"}] }';
    const stored = '{"a":[1.0,{"y":"é\\n","z":null}],"b":12345678901234567890}';
    const answer = await fixture.call('POST', '/api/v0/storage/add_json', {
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect([answer.status, answer.json]).toEqual([200, { status: 'success', hash: fileHashOf(stored) }]);
    expect((await fixture.call('GET', `/api/v0/storage/raw/${fileHashOf(stored)}`)).body.toString()).toBe(stored);
  });

  test('add_json: puts a message in force whose content is kept so', async () => {
    await using fixture = await startApi();
    const { signer } = fixture.operator;
    const content = { type: 'test', time: 1, content: 'x'.repeat(300_000), address: signer.address };
    const added = await fixture.call('POST', '/api/v0/storage/add_json', { body: content });
    const { hash } = added.json as { hash: string };
    const post = await fixture.operator.post('');
    const part = {
      chain: 'ETH',
      sender: signer.address,
      type: 'POST',
      item_hash: hash as typeof post.item_hash,
    } as const;
    const message = { ...part, time: 1, item_type: 'storage', signature: await signer.sign(part) };
    const answer = await fixture.call('POST', '/api/v0/messages', { body: { sync: true, message } });
    expect(answer).toMatchObject({ status: 200, json: { message_status: 'processed' } });
  });

  test.each(['', '{', '{} {}', `${'['.repeat(100_000)}${']'.repeat(100_000)}`])(
    'add_json: stores nothing of what is no JSON',
    async (body) => {
      await using fixture = await startApi();
      const answer = await fixture.call('POST', '/api/v0/storage/add_json', {
        headers: { 'content-type': 'application/json' },
        body,
      });
      expect(answer).toMatchObject({ status: 422, json: { code: 'API_BODY_UNREADABLE' } });
      expect(await fixture.files()).toEqual([]);
    },
  );
});

describe('createApi', () => {
  test('version: names the version of vmlet', async () => {
    await using fixture = await startApi();
    for (const path of ['/version', '/api/v0/version']) {
      expect((await fixture.call('GET', path)).json).toEqual({ version: '1.2.3' });
    }
  });

  test.each(['/api/v0/messages', '/api/v0/storage/add_file', '/api/v0/storage/raw/x', '/nowhere'])(
    'preflight: lets a page of any origin call %s',
    async (path) => {
      await using fixture = await startApi();
      const answer = await fixture.call('OPTIONS', path, { headers: { origin: 'https://example.org' } });
      expect(answer.status).toBe(204);
      expect(answer.headers).toMatchObject({
        'access-control-allow-origin': '*',
        'access-control-allow-methods': 'GET, HEAD, POST, OPTIONS',
        'access-control-allow-headers': '*, Authorization',
      });
    },
  );

  test.each(['/version', '/metrics', '/api/docs', '/api/v0/messages.json', '/nowhere', '/api/v0/aggregates/%/x'])(
    'HEAD: of %s tells what GET would, without the body, to any origin',
    async (path) => {
      await using fixture = await startApi();
      const [get, head] = [await fixture.call('GET', path), await fixture.call('HEAD', path)];
      expect([head.status, head.body.length]).toEqual([get.status, 0]);
      for (const name of ['content-type', 'access-control-allow-origin', 'content-security-policy']) {
        expect([name, head.headers[name]]).toEqual([name, get.headers[name]]);
      }
      expect(head.headers['access-control-allow-origin']).toBe('*');
    },
  );

  test('unknown route: is a problem that any origin may read', async () => {
    await using fixture = await startApi();
    const answer = await fixture.call('GET', '/api/v0/nothing?secret=1');
    expect(answer.headers).toMatchObject({
      'content-type': 'application/problem+json',
      'access-control-allow-origin': '*',
    });
    expect(answer.json).toMatchObject({
      code: 'API_ROUTE_UNKNOWN',
      status: 404,
      cause: "Cannot answer 'GET /api/v0/nothing': no route matches, expected a route of the network API",
    });
    expect((await fixture.call('PUT', '/api/v0/messages')).status).toBe(404);
  });

  test('failure: is reported with its cause and answered without it', async () => {
    await using fixture = await startApi();
    fixture.ledger.get = () => {
      throw new Error('a defect');
    };
    const answer = await fixture.call('GET', `/api/v0/messages/${'a'.repeat(64)}`);
    expect(answer).toMatchObject({ status: 500, json: { code: 'INTERNAL' } });
    expect(fixture.failures).toEqual(['Cannot finish the operation: a defect, expected it to succeed']);
  });
});
