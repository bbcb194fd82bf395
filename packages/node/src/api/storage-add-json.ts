import type { FastifyInstance } from 'fastify';
import { VmletError } from '../errors.ts';
import type { ApiComponents } from './components.ts';
import { requestSignal } from './request-signal.ts';
import { stableJson } from './stable-json.ts';

/** POST of a JSON document that is stored as a file, for messages too long to carry their content. */
export function registerStorageAddJson(app: FastifyInstance, components: ApiComponents): void {
  const { content, limits } = components;
  const bodyLimit =
    limits.unsignedFileBytes === 0 ? limits.jsonBytes : Math.min(limits.jsonBytes, limits.unsignedFileBytes);
  app.register(async (scope) => {
    // As text: the parsed value would have lost what its numbers looked like.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
    scope.post<{ Body: string }>('/api/v0/storage/add_json', { bodyLimit }, async (request, reply) => {
      if (limits.unsignedFileBytes === 0) throw new VmletError('UPLOAD_UNSIGNED');
      const bytes = Buffer.from(readJson(request.body));
      const source = (async function* () {
        yield bytes;
      })();
      const signal = requestSignal(reply.raw);
      await using staged = await content.stage(source, { maxBytes: bytes.length, signal });
      components.policy.mayKeep(staged.fileHash);
      const { fileHash } = await staged.commit();
      return { status: 'success', hash: fileHash };
    });
  });
}

function readJson(body: unknown): string {
  try {
    return stableJson(typeof body === 'string' ? body : '');
  } catch (error) {
    // Deep nesting ends in a RangeError of the stack.
    const cause = error instanceof RangeError ? 'nested too deep' : 'not JSON';
    throw new VmletError('API_BODY_UNREADABLE', { operands: { cause }, cause: error });
  }
}
