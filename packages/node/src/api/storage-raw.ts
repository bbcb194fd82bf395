import type { FastifyInstance, FastifyReply } from 'fastify';
import { type ContentStore, canonicalCid, type FoundContent } from '../content/index.ts';
import { VmletError } from '../errors.ts';
import type { ApiComponents } from './components.ts';
import { fileHashParam, type HashRoute, hashParams } from './hash-param.ts';
import { requestSignal } from './request-signal.ts';
import { sendStream } from './send-file.ts';

const PATH = '/api/v0/storage/raw/:hash';
const MEDIA_TYPE = { file: 'application/octet-stream', directory: 'application/x-tar' };
const doc = {
  summary: 'The bytes of a file; of a directory, a tar of it',
  tag: 'storage',
  params: hashParams,
  responseType: MEDIA_TYPE.file,
};

/** GET and HEAD of a file's bytes. Always a download: a stored page is never shown on the API's origin. */
export function registerStorageRaw(app: FastifyInstance, components: ApiComponents): void {
  const { content, limits } = components;
  app.get<HashRoute>(PATH, { exposeHeadRoute: false, config: { doc } }, async (request, reply) => {
    const file = await findReadable(fileHashParam(request), components);
    const { stream } = await content.read(file.name, { signal: requestSignal(reply.raw) });
    return sendStream(describe(reply, file), stream, limits);
  });

  app.head<HashRoute>(PATH, { config: { doc } }, async (request, reply) => {
    return describe(reply, await findReadable(fileHashParam(request), components)).send();
  });
}

/** A stored file, and the name it was asked for by. */
export interface NamedFile extends FoundContent {
  readonly name: FoundContent['fileHash'];
}

/**
 * Finds a file that may be read.
 * @throws VmletError `CONTENT_NOT_FOUND`, `CONTENT_BLOCKED`
 */
export async function findReadable(
  name: FoundContent['fileHash'],
  { content, policy }: { content: Pick<ContentStore, 'find'>; policy: Pick<ApiComponents['policy'], 'mayRead'> },
): Promise<NamedFile> {
  policy.mayRead(canonicalCid(name) ?? name);
  policy.mayRead(name);
  const found = await content.find(name);
  if (found === undefined) throw new VmletError('CONTENT_NOT_FOUND', { operands: { fileHash: name } });
  policy.mayRead(found.fileHash);
  return { ...found, name };
}

function describe(reply: FastifyReply, { name, sizeBytes, kind }: NamedFile): FastifyReply {
  return reply.headers({
    'content-type': MEDIA_TYPE[kind],
    'content-length': String(sizeBytes),
    'content-disposition': `attachment; filename="${name}${kind === 'directory' ? '.tar' : ''}"`,
    'accept-ranges': 'none',
    etag: `"${name}"`,
  });
}
