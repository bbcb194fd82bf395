import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import type { ApiComponents } from './components.ts';
import { requestSignal } from './request-signal.ts';
import type { Intake } from './upload/intake.ts';
import { receiveUpload } from './upload/receive.ts';

const doc = {
  summary: 'Stores the file or directory of a CAR by its root; parts "metadata" (a signed STORE of it) and "file"',
  tag: 'ipfs',
  response: z.object({ status: z.literal('success'), hash: z.string(), name: z.string(), size: z.int() }),
};

/** POST of a CAR with the signed STORE of its root. */
export function registerIpfsAddCar(app: FastifyInstance, components: ApiComponents): void {
  const { content, limits } = components;
  const intake: Intake = {
    itemType: 'ipfs',
    maxBytes: {
      // Whoever brings whole trees says who they are.
      unsigned: 0,
      signed: limits.carBytes,
      trusted: Math.max(limits.trustedFileBytes, limits.carBytes),
    },
    stage: (bytes, options) => content.stageCar(bytes, options),
  };
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    scope.post('/api/v0/ipfs/add_car', { config: { doc } }, async (request, reply) => {
      const context = { components, intake, signal: requestSignal(reply.raw) };
      const { status, named, filename, sizeBytes } = await receiveUpload(request.raw, context);
      // As its message names it, in version 0 or 1: clients compare it with the root that they sent.
      const hash = named ?? '';
      return reply.code(status).send({ status: 'success', hash, name: filename ?? hash, size: sizeBytes });
    });
  });
}
