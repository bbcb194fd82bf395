import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { canonicalCid } from '../content/index.ts';
import { VmletError } from '../errors.ts';
import type { ApiComponents } from './components.ts';
import { fileHashParam, type HashRoute, hashParams } from './hash-param.ts';
import { requestSignal } from './request-signal.ts';
import { sendStream } from './send-file.ts';
import { findReadable } from './storage-raw.ts';

/** Bytes of one line of base64, which then has 76 characters (RFC 2045). */
const LINE_BYTES = 57;

const doc = {
  summary: 'A file within a JSON document, in base64 with the line breaks of MIME',
  tag: 'storage',
  params: hashParams,
  response: z.object({
    status: z.literal('success'),
    hash: z.string(),
    engine: z.enum(['storage', 'ipfs']),
    content: z.string(),
  }),
};

/** GET of a file within JSON, for those that are short enough. */
export function registerStorageContent(app: FastifyInstance, components: ApiComponents): void {
  const { content, limits } = components;
  app.get<HashRoute>('/api/v0/storage/:hash', { config: { doc } }, async (request, reply) => {
    const file = await findReadable(fileHashParam(request), components);
    const { inlineFileBytes: maxBytes } = limits;
    if (file.sizeBytes > maxBytes) {
      const operands = { fileHash: file.name, sizeBytes: file.sizeBytes, maxBytes };
      throw new VmletError('CONTENT_NOT_INLINE', { operands });
    }
    const { stream } = await content.read(file.name, { signal: requestSignal(reply.raw) });
    const engine = canonicalCid(file.name) === undefined ? 'storage' : 'ipfs';
    const head = JSON.stringify({ status: 'success', hash: file.name, engine }).slice(0, -1);
    const body = Readable.from(inJson(stream, head), { objectMode: false });
    body.once('close', () => stream.destroy());
    return sendStream(reply.header('content-type', 'application/json; charset=utf-8'), body, limits);
  });
}

async function* inJson(bytes: AsyncIterable<Buffer>, head: string): AsyncGenerator<Buffer> {
  yield Buffer.from(`${head},"content":"`);
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of bytes) {
    const all = Buffer.concat([rest, chunk]);
    const wholeBytes = all.length - (all.length % LINE_BYTES);
    if (wholeBytes > 0) yield inLines(all.subarray(0, wholeBytes));
    rest = all.subarray(wholeBytes);
  }
  if (rest.length > 0) yield inLines(rest);
  yield Buffer.from('"}');
}

/** Each line ends in a line break, as it is written in JSON. */
function inLines(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('base64').replace(/.{1,76}/g, '$&\\n'));
}
