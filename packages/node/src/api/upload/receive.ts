import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import type { FileHash } from '@vmlet/messages';
import { canonicalCid, type StagedContent } from '../../content/index.ts';
import { VmletError } from '../../errors.ts';
import type { ApiComponents } from '../components.ts';
import { HTTP_STATUS, publish } from '../publish.ts';
import type { Intake } from './intake.ts';
import { readMetadata, type UploadMetadata } from './metadata.ts';
import { readMultipart } from './multipart.ts';
import { pump } from './pump.ts';

/** What became of an upload. */
export interface Receipt {
  /** Of the answer: the message's, if one came. */
  readonly status: number;
  readonly fileHash: FileHash;
  readonly cid: FileHash | undefined;
  /** As the message names it; undefined if none came. */
  readonly named: FileHash | undefined;
  readonly sizeBytes: number;
  readonly filename: string | undefined;
}

interface Context {
  components: ApiComponents;
  intake: Intake;
  signal: AbortSignal;
}

/**
 * Takes one file, best with the signed STORE message that names it: `multipart/form-data` with the parts `metadata` and
 * `file`, or the bytes alone. The body is read from the socket as it comes, and never into memory.
 * @throws VmletError what is wrong with the body, the message, the sender or the disk; then nothing is stored
 */
export async function receiveUpload(request: IncomingMessage, context: Context): Promise<Receipt> {
  const { components, signal } = context;
  await refuseByLength(request, context);
  const isMultipart = /^multipart\/form-data\b/i.test(request.headers['content-type'] ?? '');
  const received = isMultipart ? await receiveParts(request, context) : await receiveRaw(request, context);
  const { metadata, filename } = received;
  await using file = received.staged;
  await refuseStaged(file, { metadata, context });
  const { fileHash, sizeBytes, cid } = await file.commit();
  const receipt = { fileHash, sizeBytes, cid, filename, named: metadata?.expected };
  if (metadata === undefined) return { ...receipt, status: 200 };
  const { status } = await publish(metadata.message, { components, sync: metadata.sync, signal });
  return { ...receipt, status: HTTP_STATUS[status] };
}

interface Received {
  metadata: UploadMetadata | undefined;
  staged: StagedContent;
  filename: string | undefined;
}

async function receiveParts(request: IncomingMessage, { components, intake, signal }: Context): Promise<Received> {
  let metadata: UploadMetadata | undefined;
  const { file, filename } = await readMultipart(request, {
    maxMetadataBytes: components.limits.messageBytes,
    slow: components.limits,
    signal,
    onMetadata(text) {
      metadata = readMetadata(text, { components, intake });
    },
    takeFile(bytes: Readable) {
      // While no metadata has come, it may still come after the file.
      const maxBytes = metadata?.maxBytes ?? Math.max(intake.maxBytes.signed, intake.maxBytes.unsigned);
      return intake.stage(bytes, { maxBytes, expected: metadata?.expected, signal });
    },
  });
  return { metadata, staged: file, filename };
}

async function receiveRaw(request: IncomingMessage, { components, intake, signal }: Context): Promise<Received> {
  const maxBytes = intake.maxBytes.unsigned;
  if (maxBytes === 0) throw new VmletError('UPLOAD_UNSIGNED');
  const bytes = new PassThrough();
  const failure = new AbortController();
  const staging = intake.stage(bytes, { maxBytes, expected: undefined, signal });
  staging.catch((error: unknown) => failure.abort(error));
  try {
    await pump(request, bytes, { signal: AbortSignal.any([signal, failure.signal]), slow: components.limits });
    return { metadata: undefined, staged: await staging, filename: undefined };
  } catch (error) {
    bytes.on('error', () => {}).destroy(error instanceof Error ? error : new Error(String(error)));
    await (await staging.catch(() => undefined))?.[Symbol.asyncDispose]();
    throw error;
  }
}

/** The last look before the file is stored, for what was not known when it began. */
async function refuseStaged(
  file: StagedContent,
  { metadata, context }: { metadata: UploadMetadata | undefined; context: Context },
): Promise<void> {
  const { components, intake } = context;
  const maxBytes = metadata?.maxBytes ?? intake.maxBytes.unsigned;
  if (maxBytes === 0) throw new VmletError('UPLOAD_UNSIGNED');
  if (file.sizeBytes > maxBytes) throw new VmletError('CONTENT_TOO_LARGE', { operands: { maxBytes } });
  const found = intake.itemType === 'ipfs' ? (file.cid ?? file.fileHash) : file.fileHash;
  if (metadata !== undefined && (canonicalCid(metadata.expected) ?? metadata.expected) !== found) {
    throw new VmletError('CONTENT_HASH_MISMATCH', { operands: { found, expected: metadata.expected } });
  }
  for (const name of [file.fileHash, found]) components.policy.mayKeep(name);
  if (metadata !== undefined) {
    const { sizeBytes } = file;
    await components.policy.mayStore(metadata.owner, { fileHash: metadata.expected, sizeBytes });
  }
}

/** What can be seen to be too long for anyone, or for the disk, is refused before it is read. */
async function refuseByLength(request: IncomingMessage, { components, intake }: Context): Promise<void> {
  const maxBytes = Math.max(...Object.values(intake.maxBytes));
  const framing = 2 * components.limits.messageBytes;
  const sentBytes = Number(request.headers['content-length'] ?? 0);
  if (sentBytes > maxBytes + framing) throw new VmletError('CONTENT_TOO_LARGE', { operands: { maxBytes } });
  await components.disk.require(sentBytes);
}
