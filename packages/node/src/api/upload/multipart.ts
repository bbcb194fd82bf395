import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { Busboy, type BusboyInstance } from '@fastify/busboy';
import type { StagedContent } from '../../content/index.ts';
import { VmletError } from '../../errors.ts';
import { pump, type SlowLimit } from './pump.ts';

/** What a multipart body came to. */
export interface MultipartUpload {
  /** The text of the part `metadata`. */
  readonly metadata: string | undefined;
  readonly file: StagedContent;
  /** What the client calls the file; undefined if it does not say. */
  readonly filename: string | undefined;
}

/** What to do with the parts, in the order they come. */
export interface MultipartHandlers {
  readonly maxMetadataBytes: number;
  readonly slow: SlowLimit;
  readonly signal: AbortSignal;
  /** Called with the part `metadata`; what it throws ends the upload. */
  onMetadata(text: string): void;
  /** Called when the part `file` begins; must read it to its end. */
  takeFile(bytes: Readable): Promise<StagedContent>;
}

/** More than the network's clients send, few enough to bound the work. */
const MAX_FIELDS = 8;
const MAX_HEADER_PAIRS = 32;
const MAX_HEADER_BYTES = 8 * 1024;

/**
 * Reads a multipart body part by part. Parts are told by their name alone: the network's clients send the part `file`
 * with and without a filename. The file is handed over only when the whole body was well-formed to its end.
 *
 * @throws VmletError `UPLOAD_MALFORMED`, `UPLOAD_CUT_SHORT`, `API_BODY_TOO_LARGE`; whatever the handlers throw
 */
export async function readMultipart(request: IncomingMessage, handlers: MultipartHandlers): Promise<MultipartUpload> {
  const parts = new Parts(openBusboy(request, handlers), handlers);
  try {
    await pump(request, parts.busboy, { signal: parts.signal, slow: handlers.slow });
    return await parts.result();
  } catch (error) {
    await parts.discard(error);
    throw error;
  }
}

class Parts {
  readonly busboy: BusboyInstance;
  readonly signal: AbortSignal;
  readonly #handlers: MultipartHandlers;
  readonly #failure = new AbortController();
  #metadata: string | undefined;
  #stream: Readable | undefined;
  #filename: string | undefined;
  #file: Promise<StagedContent> | undefined;

  constructor(busboy: BusboyInstance, handlers: MultipartHandlers) {
    this.busboy = busboy;
    this.#handlers = handlers;
    this.signal = AbortSignal.any([handlers.signal, this.#failure.signal]);
    busboy.on('file', (_name, stream, filename) => this.#onFile(stream, filename));
    busboy.on('field', (name, value, _nameTruncated, truncated) => this.#onField(name, { value, truncated }));
    busboy.on('filesLimit', () => this.#fail(malformed('it has two parts named "file"')));
    busboy.on('fieldsLimit', () => this.#fail(malformed(`it has more than ${MAX_FIELDS} other parts`)));
    busboy.on('error', (error) => this.#fail(malformed(error instanceof Error ? error.message : String(error))));
  }

  async result(): Promise<MultipartUpload> {
    this.signal.throwIfAborted();
    if (this.#file === undefined) throw malformed('it has no part named "file"');
    return { metadata: this.#metadata, file: await this.#file, filename: this.#filename };
  }

  /** Ends the taking of a file, and removes what was taken. */
  async discard(reason: unknown): Promise<void> {
    const error = reason instanceof Error ? reason : new Error(String(reason));
    this.#stream?.destroy(error);
    const file = await this.#file?.catch(() => undefined);
    await file?.[Symbol.asyncDispose]();
  }

  #onFile(stream: Readable, filename: string | undefined): void {
    this.#filename = filename === '' ? undefined : filename;
    // Busboy reports a body that ends too soon here as well, and perhaps after the reader has gone.
    this.#stream = stream.on('error', () => {});
    this.#file = this.#handlers.takeFile(stream);
    this.#file.catch((error: unknown) => this.#fail(error));
  }

  #onField(name: string, { value, truncated }: { value: string; truncated: boolean }): void {
    if (name !== 'metadata' || this.signal.aborted) return;
    const maxBytes = this.#handlers.maxMetadataBytes;
    try {
      if (truncated) throw new VmletError('API_BODY_TOO_LARGE', { operands: { maxBytes } });
      if (this.#metadata !== undefined) throw malformed('it has two parts named "metadata"');
      this.#metadata = value;
      this.#handlers.onMetadata(value);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#failure.abort(error);
  }
}

function openBusboy(request: IncomingMessage, { maxMetadataBytes }: MultipartHandlers): BusboyInstance {
  const { headers } = request;
  try {
    return new Busboy({
      headers: { ...headers, 'content-type': headers['content-type'] ?? '' },
      isPartAFile: (name) => name === 'file',
      limits: {
        files: 1,
        fields: MAX_FIELDS,
        fieldSize: maxMetadataBytes,
        headerPairs: MAX_HEADER_PAIRS,
        headerSize: MAX_HEADER_BYTES,
      },
    });
  } catch (error) {
    throw malformed(error instanceof Error ? error.message : String(error));
  }
}

function malformed(cause: string): VmletError {
  return new VmletError('UPLOAD_MALFORMED', { operands: { cause } });
}
