import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { ApiComponents } from './components.ts';
import { requestSignal } from './request-signal.ts';
import type { Intake } from './upload/intake.ts';
import { receiveUpload } from './upload/receive.ts';

const doc = {
  summary: 'Stores a file by its SHA-256: parts "metadata" (a signed STORE) and "file", or the bytes alone',
  tag: 'storage',
  response: z.object({ status: z.literal('success'), hash: z.string() }),
};

/** POST of a file, best with the signed STORE message that names it. */
export function registerStorageAddFile(app: FastifyInstance, components: ApiComponents): void {
  const { content, limits } = components;
  const intake: Intake = {
    itemType: 'storage',
    maxBytes: {
      unsigned: limits.unsignedFileBytes,
      signed: limits.signedFileBytes,
      trusted: limits.trustedFileBytes,
    },
    stage: (bytes, options) => content.stage(bytes, options),
  };
  app.register(async (scope) => {
    // The body is read from the socket as it comes, and never into memory.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    scope.post('/api/v0/storage/add_file', { config: { doc } }, async (request, reply) => {
      const context = { components, intake, signal: requestSignal(reply.raw) };
      const { status, fileHash } = await receiveUpload(request.raw, context);
      return reply.code(status).send({ status: 'success', hash: fileHash });
    });
  });
}
