import type { Readable } from 'node:stream';
import { fileHashSchema } from '@vmlet/messages/schema';
import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import type { OwnerComponents } from './components.ts';
import { goneSignal } from './lifecycle.ts';

/** As long as the longest file that the network API takes. */
const MAX_IMPORT_BYTES = 4 * 1024 * 1024 * 1024;

const fileSchema = z.object({ hash: fileHashSchema });
const messageSchema = z.strictObject({ message: z.record(z.string(), z.unknown()) });

/** Routes by which the owner brings in what others have signed, whoever may publish here. */
export function registerImports(app: FastifyInstance, { imports, blocks }: OwnerComponents): void {
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));

  app.put('/imports/files/:hash', { bodyLimit: MAX_IMPORT_BYTES }, async (request, reply) => {
    const { hash } = fileSchema.parse(request.params);
    refuseBlocked(blocks, [hash]);
    const options = { maxBytes: MAX_IMPORT_BYTES, expected: hash, signal: goneSignal(reply) };
    const { fileHash, sizeBytes } = await imports.put(request.body as Readable, options);
    return { fileHash, sizeBytes };
  });

  app.post('/imports', async (request) => {
    const { message } = messageSchema.parse(request.body);
    const { envelope } = imports.check(message);
    refuseBlocked(blocks, [envelope.sender, envelope.item_hash]);
    const { status, reason } = await imports.accept(message);
    return { status, errors: reason?.errors ?? [] };
  });
}

function refuseBlocked(blocks: OwnerComponents['blocks'], whats: readonly string[]): void {
  const what = blocks.find(whats);
  if (what !== undefined) throw new VmletError('PUBLISH_BLOCKED', { operands: { what } });
}
