import { randomBytes } from 'node:crypto';

/** Bytes that can be sent, and sent again. */
export interface Upload {
  /** SHA-256 in hex. */
  readonly fileHash: string;
  readonly sizeBytes: number;
  /** A file name for the receiver's logs. */
  readonly name: string;
  open(): AsyncIterable<Uint8Array>;
}

/** A multipart body of known length: the part `metadata`, then the part `file`. */
export interface MultipartBody {
  readonly contentType: string;
  readonly sizeBytes: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Metadata goes first, so that a node can refuse before it has taken the file. */
export function multipartBody(metadata: string, file: Upload): MultipartBody {
  const boundary = `vmlet-${randomBytes(16).toString('hex')}`;
  const head = Buffer.from(
    [
      `--${boundary}`,
      'Content-Disposition: form-data; name="metadata"',
      'Content-Type: application/json',
      '',
      metadata,
      `--${boundary}`,
      `Content-Disposition: form-data; name="file"; filename="${file.name.replace(/[^\w.-]/g, '_')}"`,
      'Content-Type: application/octet-stream',
      '',
      '',
    ].join('\r\n'),
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    sizeBytes: head.length + file.sizeBytes + tail.length,
    body: concat(head, file, tail),
  };
}

async function* concat(head: Uint8Array, file: Upload, tail: Uint8Array): AsyncGenerator<Uint8Array> {
  yield head;
  yield* file.open();
  yield tail;
}
