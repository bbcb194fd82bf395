import type { FileHash } from '@vmlet/messages';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { VmletError } from '../errors.ts';
import type { ApiComponents } from './components.ts';
import { fileHashParam, type HashRoute } from './hash-param.ts';
import { requestSignal } from './request-signal.ts';

/** GET and HEAD of a file's bytes. Always a download: a stored page is never shown on the API's origin. */
export function registerStorageRaw(app: FastifyInstance, { content, policy }: ApiComponents): void {
  app.get<HashRoute>('/api/v0/storage/raw/:hash', async (request, reply) => {
    const fileHash = fileHashParam(request);
    policy.mayRead(fileHash);
    const { sizeBytes, stream } = await content.read(fileHash, { signal: requestSignal(reply.raw) });
    return describe(reply, { fileHash, sizeBytes }).send(stream);
  });

  app.head<HashRoute>('/api/v0/storage/raw/:hash', async (request, reply) => {
    const fileHash = fileHashParam(request);
    policy.mayRead(fileHash);
    const sizeBytes = await content.sizeOf(fileHash);
    if (sizeBytes === undefined) throw new VmletError('CONTENT_NOT_FOUND', { operands: { fileHash } });
    return describe(reply, { fileHash, sizeBytes }).send();
  });
}

function describe(reply: FastifyReply, file: { fileHash: FileHash; sizeBytes: number }): FastifyReply {
  return reply.headers({
    'content-type': 'application/octet-stream',
    'content-length': String(file.sizeBytes),
    'content-disposition': `attachment; filename="${file.fileHash}"`,
    'accept-ranges': 'none',
    etag: `"${file.fileHash}"`,
  });
}
