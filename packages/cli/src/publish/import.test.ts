import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildMessage, type FileHash } from '@vmlet/messages';
import { createEvmSigner, generateKey } from '@vmlet/messages/sign';
import { expect, test } from 'vitest';
import type { OwnerClient } from '../client/owner.ts';
import { Output } from '../output.ts';
import { memoryStream } from '../testing.ts';
import { importStore } from './import.ts';

const { signal } = new AbortController();
const output = new Output({ stdout: memoryStream(), stderr: memoryStream(), json: false, color: false });

/** Below this path the same server is one's own node, which has nothing. */
const OWN = '/own';
const UNKNOWN = {
  ...{ type: 'urn:vmlet:error:MESSAGE_UNKNOWN', status: 404, code: 'MESSAGE_UNKNOWN' },
  ...{ phase: 'message', cause: 'no such message', next: 'none' },
};

/** A node that has one message, and sends of its file what it likes. */
async function source(send: (response: ServerResponse) => void) {
  const signer = createEvmSigner(generateKey());
  const fileHash = createHash('sha256').update('the file').digest('hex') as FileHash;
  const content = { item_type: 'storage' as const, item_hash: fileHash };
  const message = await buildMessage({ signer, type: 'STORE', content, now: new Date(), channel: 'TEST' });
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/api/v0/storage/raw/')) {
      send(response);
      return;
    }
    if (request.url?.startsWith(OWN)) {
      response.writeHead(404, { 'content-type': 'application/problem+json' }).end(JSON.stringify(UNKNOWN));
      return;
    }
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ status: 'processed', item_hash: message.item_hash, message }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    itemHash: message.item_hash,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('import: gives up a source that sends nothing, and keeps nothing of it', async () => {
  const read: number[] = [];
  let isUnfinished = false;
  const owner: Pick<OwnerClient, 'importFile' | 'importMessage'> = {
    async importFile(_hash, { body }) {
      isUnfinished = true;
      for await (const chunk of body as AsyncIterable<Uint8Array>) read.push(chunk.length);
      isUnfinished = false;
    },
    importMessage: () => Promise.reject(new TypeError('Cannot import: its file is not here')),
  };
  await using node = await source((response) => void response.write('the '));
  const asked = importStore(node.itemHash, {
    from: node.url,
    to: { url: `${node.url}${OWN}`, owner },
    output,
    signal,
    stallMs: 200,
  });
  await expect(asked).rejects.toMatchObject({ code: 'IMPORT_STALLED' });
  expect({ read, isUnfinished }).toEqual({ read: [4], isUnfinished: true });
});
