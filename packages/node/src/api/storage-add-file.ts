import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { StagedContent } from '../content/index.ts';
import { VmletError } from '../errors.ts';
import type { ApiComponents } from './components.ts';
import { HTTP_STATUS, publish } from './publish.ts';
import { requestSignal } from './request-signal.ts';
import { readMetadata, type UploadMetadata } from './upload/metadata.ts';
import { readMultipart } from './upload/multipart.ts';
import { pump } from './upload/pump.ts';

/** POST of a file, best with the signed STORE message that names it. */
export function registerStorageAddFile(app: FastifyInstance, components: ApiComponents): void {
  app.register(async (scope) => {
    // The body is read from the socket as it comes, and never into memory.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    scope.post('/api/v0/storage/add_file', async (request, reply) => {
      const { status, hash } = await addFile(request.raw, { components, signal: requestSignal(reply.raw) });
      return reply.code(status).send({ status: 'success', hash });
    });
  });
}

interface Context {
  components: ApiComponents;
  signal: AbortSignal;
}

async function addFile(request: IncomingMessage, context: Context): Promise<{ status: number; hash: string }> {
  const { components, signal } = context;
  refuseByLength(request, context);
  const isMultipart = /^multipart\/form-data\b/i.test(request.headers['content-type'] ?? '');
  const { metadata, staged } = isMultipart ? await receiveParts(request, context) : await receiveRaw(request, context);
  await using file = staged;
  await refuseStaged(file, { metadata, components });
  const { fileHash } = await file.commit();
  if (metadata === undefined) return { status: 200, hash: fileHash };
  const { status } = await publish(metadata.message, { components, sync: metadata.sync, signal });
  return { status: HTTP_STATUS[status], hash: fileHash };
}

interface Received {
  metadata: UploadMetadata | undefined;
  staged: StagedContent;
}

async function receiveParts(request: IncomingMessage, { components, signal }: Context): Promise<Received> {
  const { content, limits } = components;
  let metadata: UploadMetadata | undefined;
  const { file } = await readMultipart(request, {
    maxMetadataBytes: limits.messageBytes,
    signal,
    onMetadata(text) {
      metadata = readMetadata(text, components);
    },
    takeFile(bytes: Readable) {
      // While no metadata has come, it may still come after the file.
      const maxBytes = metadata?.maxBytes ?? Math.max(limits.signedFileBytes, limits.unsignedFileBytes);
      return content.stage(bytes, { maxBytes, expected: metadata?.expected, signal });
    },
  });
  return { metadata, staged: file };
}

async function receiveRaw(request: IncomingMessage, { components, signal }: Context): Promise<Received> {
  const { content, limits } = components;
  if (limits.unsignedFileBytes === 0) throw new VmletError('UPLOAD_UNSIGNED');
  const bytes = new PassThrough();
  const failure = new AbortController();
  const staging = content.stage(bytes, { maxBytes: limits.unsignedFileBytes, signal });
  staging.catch((error: unknown) => failure.abort(error));
  try {
    await pump(request, bytes, { signal: AbortSignal.any([signal, failure.signal]) });
    return { metadata: undefined, staged: await staging };
  } catch (error) {
    bytes.on('error', () => {}).destroy(error instanceof Error ? error : new Error(String(error)));
    await (await staging.catch(() => undefined))?.[Symbol.asyncDispose]();
    throw error;
  }
}

/** The last look before the file is stored, for what was not known when it began. */
async function refuseStaged(
  file: StagedContent,
  { metadata, components }: { metadata: UploadMetadata | undefined; components: ApiComponents },
): Promise<void> {
  const maxBytes = metadata?.maxBytes ?? components.limits.unsignedFileBytes;
  if (maxBytes === 0) throw new VmletError('UPLOAD_UNSIGNED');
  if (file.sizeBytes > maxBytes) throw new VmletError('CONTENT_TOO_LARGE', { operands: { maxBytes } });
  if (metadata !== undefined && metadata.expected !== file.fileHash) {
    const operands = { found: file.fileHash, expected: metadata.expected };
    throw new VmletError('CONTENT_HASH_MISMATCH', { operands });
  }
  components.policy.mayKeep(file.fileHash);
  if (metadata !== undefined) await components.policy.mayStore(metadata.owner, file);
}

/** What can be seen to be too long for anyone is refused before it is read. */
function refuseByLength(request: IncomingMessage, { components: { limits } }: Context): void {
  const maxBytes = Math.max(limits.trustedFileBytes, limits.signedFileBytes, limits.unsignedFileBytes);
  const framing = 2 * limits.messageBytes;
  if (Number(request.headers['content-length'] ?? 0) <= maxBytes + framing) return;
  throw new VmletError('CONTENT_TOO_LARGE', { operands: { maxBytes } });
}
