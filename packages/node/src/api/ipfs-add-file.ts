import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { ApiComponents } from './components.ts';
import { requestSignal } from './request-signal.ts';
import type { Intake } from './upload/intake.ts';
import { receiveUpload } from './upload/receive.ts';

const doc = {
  summary: 'Stores a file by its CIDv0, as kubo names it by default; a signed STORE may come as the part "metadata"',
  tag: 'ipfs',
  response: z.object({ status: z.literal('success'), hash: z.string(), name: z.string(), size: z.int() }),
};

/** POST of a file that is named by its CID. */
export function registerIpfsAddFile(app: FastifyInstance, components: ApiComponents): void {
  const { content, limits } = components;
  const intake: Intake = {
    itemType: 'ipfs',
    maxBytes: {
      unsigned: limits.unsignedFileBytes,
      signed: limits.signedIpfsBytes,
      trusted: Math.max(limits.trustedFileBytes, limits.signedIpfsBytes),
    },
    stage: (bytes, options) => content.stage(bytes, { ...options, dag: true }),
  };
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    scope.post('/api/v0/ipfs/add_file', { config: { doc } }, async (request, reply) => {
      const context = { components, intake, signal: requestSignal(reply.raw) };
      const { status, cid, fileHash, filename, sizeBytes } = await receiveUpload(request.raw, context);
      const hash = cid ?? fileHash;
      return reply.code(status).send({ status: 'success', hash, name: filename ?? hash, size: sizeBytes });
    });
  });
}
