import type { FastifyInstance } from 'fastify';
import * as z from 'zod';
import { VmletError } from '../errors.ts';
import type { ApiComponents } from './components.ts';
import { requestSignal } from './request-signal.ts';
import { stableJson } from './stable-json.ts';

const doc = (tag: 'storage' | 'ipfs') => ({
  summary: `Stores a JSON document as a file, by its ${tag === 'ipfs' ? 'CIDv0' : 'SHA-256'}`,
  tag,
  body: z.unknown(),
  response: z.object({ status: z.literal('success'), hash: z.string() }),
});

/** POST of a JSON document that is stored as a file, for messages too long to carry their content. */
export function registerAddJson(app: FastifyInstance, components: ApiComponents): void {
  const { limits } = components;
  const bodyLimit =
    limits.unsignedFileBytes === 0 ? limits.jsonBytes : Math.min(limits.jsonBytes, limits.unsignedFileBytes);
  app.register(async (scope) => {
    // As text: the parsed value would have lost what its numbers looked like.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
    for (const tag of ['storage', 'ipfs'] as const) {
      const options = { bodyLimit, config: { doc: doc(tag) } };
      scope.post<{ Body: string }>(`/api/v0/${tag}/add_json`, options, async (request, reply) => {
        const signal = requestSignal(reply.raw);
        return { status: 'success', hash: await addJson(request.body, { components, dag: tag === 'ipfs', signal }) };
      });
    }
  });
}

async function addJson(
  body: unknown,
  { components, dag, signal }: { components: ApiComponents; dag: boolean; signal: AbortSignal },
): Promise<string> {
  const { content, disk, limits, policy } = components;
  if (limits.unsignedFileBytes === 0) throw new VmletError('UPLOAD_UNSIGNED');
  const bytes = Buffer.from(readJson(body));
  await disk.require(bytes.length);
  const source = (async function* () {
    yield bytes;
  })();
  await using staged = await content.stage(source, { maxBytes: bytes.length, dag, signal });
  for (const name of [staged.fileHash, staged.cid]) {
    if (name !== undefined) policy.mayKeep(name);
  }
  const { fileHash, cid } = await staged.commit();
  return cid ?? fileHash;
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
